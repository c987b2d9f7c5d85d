//! The end of a pod whose sandbox is a shim's, where it comes in another way than by the Sandbox service.

use std::path::Path;

use micrun_host_tests::system::Process;
use micrun_host_tests::wait;
use nix::sys::signal::{Signal, kill};

use super::sandbox::{NO_SANDBOX, Pod, is_gone, member};
use crate::case::mica;
use crate::events::topic;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    mica!(a_killed_holder_ends_the_pod, NO_SANDBOX),
    mica!(a_killed_shim_leaves_no_holder, NO_SANDBOX),
    mica!(containerd_delete_of_a_sandbox_whose_pod_has_a_new_shim, NO_SANDBOX),
    mica!(containerd_delete_of_a_sandbox_that_lives, NO_SANDBOX),
];

/// What the containers of the pod have in common.
const FILES: &str = "/run/micrun/pods/pod";

/// As a pause container that is killed ends its pod.
fn a_killed_holder_ends_the_pod(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    let container = member(stage, "one");
    container.start();
    kill(pid, Signal::SIGKILL).expect("it runs");
    assert_eq!(pod.wait().exit_status, 137);
    assert_eq!(container.wait(), 137);
    assert_eq!(pod.status().state, "SANDBOX_NOTREADY");
}

/// The holder ends with the shim: nobody needs to clean up.
fn a_killed_shim_leaves_no_holder(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    let held =
        Process::all().into_iter().filter(|process| process.command.starts_with("micrun-pause")).count();
    assert_eq!(held, 1, "ps shows it");
    pod.shim.kill();
    is_gone(pid);
}

/// containerd cleans up after the killed shim while it starts one for the pod's next container, at the same address.
fn containerd_delete_of_a_sandbox_whose_pod_has_a_new_shim(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    assert!(Path::new(FILES).join("hosts").exists());
    pod.shim.kill();
    is_gone(pid);
    let container = member(stage, "one");
    assert_eq!(container.shim.reply.address, pod.shim.reply.address, "one socket for the pod");
    container.start();
    assert!(stage.delete(&pod.bundle).status.success());
    assert!(!Path::new(FILES).exists(), "the pod's files are left behind");
    container.assert_answers("undisturbed");
}

/// containerd has lost the shim and will not speak to it any more.
fn containerd_delete_of_a_sandbox_that_lives(stage: &mut Stage) {
    let (pod, pid) = Pod::run(stage);
    let container = member(stage, "one");
    container.start();
    let (shim, socket) = (pod.shim.pid(), pod.shim.socket());
    assert!(stage.delete(&pod.bundle).status.success());
    stage.events.expect("one", topic::DELETE);
    is_gone(pid);
    wait::until("the shim is gone", || (kill(shim, None).is_err() && !socket.exists()).then_some(()));
    assert!(!Path::new(FILES).exists(), "the pod's files are left behind");
}
