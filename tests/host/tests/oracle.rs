//! The harness itself, tried on an ordinary container with runc and crun: what it says of containerd's own shim,
//! it may say of ours.

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped, ctr_terminal};
use micrun_host_tests::events::Events;
use micrun_host_tests::{Host, Output};

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
fn a_dialogue_through_pipes_ends_with_its_input() {
    let host = host_with_busybox();
    let mut shell = ctr_piped(&["run", "--rm", IMAGE, "one"]);
    shell.send("echo $((6 * 7))\n");
    shell.expect("42\n");
    shell.close_input();
    assert_eq!(shell.wait(), 0);
    host.assert_clean();
}

#[test]
fn a_dialogue_on_a_terminal() {
    let host = host_with_busybox();
    let mut shell = ctr_terminal(&["run", "--rm", "--tty", IMAGE, "one"]);
    shell.expect("# ");
    shell.send("echo $((6 * 7))\r");
    shell.expect("\r\n42\r\n");
    shell.send("exit 3\r");
    assert_eq!(shell.wait(), 3);
    host.assert_clean();
}

#[test]
fn attach_kill_and_delete_a_detached_container() {
    let host = host_with_busybox();
    ctr(&[
        &["run", "--detach", IMAGE, "one"],
        &SHELL[..],
        &["read x; echo got $x; exec /bin/busybox sleep 100"],
    ]
    .concat())
    .success();
    let mut attached = ctr_piped(&["tasks", "attach", "one"]);
    attached.send("word\n");
    attached.expect("got word\n");
    host.kill("one", "SIGKILL");
    assert_eq!(attached.wait(), 137);
    // The one who attached and saw the end deletes the task, as ctr does.
    host.delete_container("one");
    host.assert_clean();
}

#[test]
fn events_come_in_order() {
    let host = host_with_busybox();
    let mut events = Events::listen();
    run_with("/usr/sbin/runc", "exit 7");
    let seen = events.of_container("one", "/tasks/delete");
    let topics: Vec<_> = seen.iter().map(|event| event.topic.as_str()).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"]);
    assert_eq!(seen[2].fields["exit_status"], 7);
    drop(events);
    host.assert_clean();
}

#[test]
fn what_is_left_behind_is_noticed() {
    let host = host_with_busybox();
    ctr(&[&["run", "--detach", IMAGE, "one"], &SHELL[..], &["exec /bin/busybox sleep 100"]].concat())
        .success();
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
