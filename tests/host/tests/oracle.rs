//! The harness itself, tried on an ordinary container with runc and crun: what it says of containerd's own shim,
//! it may say of ours. `linux.rs` tries both shims alike.

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::{Host, Output, wait};

const IMAGE: &str = "localhost/busybox:1";
const SHELL: [&str; 3] = ["/bin/busybox", "sh", "-c"];

fn host_with_busybox() -> Host {
    let host = Host::ordinary();
    host.import_image(Image::busybox(IMAGE, &["/bin/busybox", "sh"]));
    host
}

fn run_with(runtime: &str, script: &str) -> Output {
    ctr(&[&["run", "--rm", "--runc-binary", runtime, IMAGE, "one"], &SHELL[..], &[script]].concat())
}

#[test]
fn runc_runs_and_its_exit_status_arrives() {
    let host = host_with_busybox();
    let output = run_with("/usr/sbin/runc", "echo hello; exit 7");
    assert_eq!((output.stdout.as_str(), output.status), ("hello\n", 7), "{output}");
    host.assert_clean();
}

#[test]
fn crun_runs_and_its_exit_status_arrives() {
    let host = host_with_busybox();
    let output = run_with("/usr/bin/crun", "echo hello; exit 7");
    // crun before 1.14.3 does not know the specification that containerd 1.7 and later write (crun#1485).
    if output.stderr.contains("unknown version specified") {
        ctr(&["containers", "delete", "one"]);
        return host.assert_clean();
    }
    assert_eq!((output.stdout.as_str(), output.status), ("hello\n", 7), "{output}");
    host.assert_clean();
}

#[test]
fn what_is_left_behind_is_noticed() {
    let host = host_with_busybox();
    ctr(&[&["run", "--detach", IMAGE, "one"], &SHELL[..], &["exec /bin/busybox sleep 100"]].concat())
        .success();
    // Start has answered before the shell has become what it executes.
    wait::until("the process is busybox", || {
        host.leftovers().iter().any(|left| left.contains("/bin/busybox sleep 100")).then_some(())
    });
    let found = host.leftovers().join("\n");
    for expected in [
        "left behind: container one",
        "left behind: task one",
        "left behind: process busybox (/bin/busybox sleep 100)",
        "left behind: process containerd-shim",
        "left behind: mount /run/containerd/io.containerd.runtime.v2.task/",
        "left behind: file /run/containerd/s/",
        "left behind: snapshot one",
    ] {
        assert!(found.contains(expected), "{expected}; found:\n{found}");
    }
}
