//! Pods, as CRI describes them to a shim: a sandbox, a Linux container and a firmware with one shim for all.

use std::fs;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, wait};

const IMAGE: &str = "localhost/busybox:1";
const SHIM: &str = "containerd-shim-mica-v2";
const EMULATOR: &str = "qemu-system-aarch64";
const POD: &str = "io.kubernetes.cri.sandbox-id=pod";
const SANDBOX: &str = "io.kubernetes.cri.container-type=sandbox";
const MEMBER: &str = "io.kubernetes.cri.container-type=container";

/// A pod of three: `pod` is the sandbox, `side` a Linux container, `rtos` the firmware.
fn pod() -> Host {
    let host = Host::start();
    host.import_image(Image::busybox(IMAGE, &["/bin/busybox", "sleep", "1000"]));
    run("pod", SANDBOX, IMAGE);
    run("side", MEMBER, IMAGE);
    run("rtos", MEMBER, DEMO);
    assert_eq!(Process::running(SHIM).len(), 1, "one shim for all");
    host
}

fn run(id: &str, kind: &str, image: &str) {
    let annotations = ["--annotation", POD, "--annotation", kind];
    ctr(&[&["run", "--detach", "--runtime", MICA], &annotations[..], &[image, id]].concat()).success();
}

fn remove(host: &Host, id: &str) {
    host.await_task_state(id, "STOPPED");
    assert_eq!(host.delete_task(id), 137, "{id}");
    host.delete_container(id);
}

fn gone(program: &str) {
    wait::until(&format!("no {program} runs"), || Process::running(program).is_empty().then_some(()));
}

#[test]
fn containers_first_then_the_sandbox() {
    let host = pod();
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    console.send("\r");
    console.expect(PROMPT);
    drop(console);
    assert_eq!(
        ctr(&["tasks", "exec", "--exec-id", "x", "side", "/bin/busybox", "echo", "hi"]).success(),
        "hi\n"
    );
    for id in ["rtos", "side", "pod"] {
        assert_eq!(Process::running(SHIM).len(), 1, "it stays for {id}");
        host.kill(id, "SIGKILL");
        remove(&host, id);
    }
    gone(SHIM);
    host.assert_clean();
}

/// Upstream's shim leaves the others running, and itself.
#[test]
fn the_end_of_the_sandbox_is_the_end_of_all() {
    let host = pod();
    host.kill("pod", "SIGKILL");
    for id in ["pod", "side", "rtos"] {
        remove(&host, id);
    }
    gone(SHIM);
    host.assert_clean();
}

#[test]
fn the_sandbox_deleted_first() {
    let host = pod();
    ctr(&["tasks", "delete", "--force", "pod"]);
    host.delete_container("pod");
    remove(&host, "side");
    remove(&host, "rtos");
    gone(SHIM);
    host.assert_clean();
}

#[test]
fn a_killed_shim_leaves_nothing_of_the_pod() {
    let host = pod();
    Process::running(SHIM)[0].kill();
    gone("busybox");
    gone(EMULATOR);
    for id in ["pod", "side", "rtos"] {
        wait::until("its end is known", || (host.task_state(id).as_deref() != Some("RUNNING")).then_some(()));
        ctr(&["tasks", "delete", id]);
        host.delete_container(id);
    }
    // ctr leaves its own FIFOs behind when a shim dies, whichever shim.
    fs::remove_dir_all("/run/containerd/fifo").expect("ctr made FIFOs");
    host.assert_clean();
}

/// What of the pod ends by itself ends alone.
#[test]
fn one_ends_and_the_others_go_on() {
    let host = pod();
    host.kill("side", "SIGKILL");
    remove(&host, "side");
    for id in ["pod", "rtos"] {
        assert_eq!(host.task_state(id).as_deref(), Some("RUNNING"), "{id}");
    }
    run("side", MEMBER, IMAGE);
    assert_eq!(Process::running(SHIM).len(), 1, "the pod's shim takes the new one");
    host.kill("pod", "SIGKILL");
    for id in ["pod", "side", "rtos"] {
        remove(&host, id);
    }
    host.assert_clean();
}
