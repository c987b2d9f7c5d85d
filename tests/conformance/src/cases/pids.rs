//! Pids: what containerd asks first when it loads a shim after its own restart.

use containerd_shim_protos::ttrpc::Code;

use crate::case::both;
use crate::task::code_of;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(containerd_shim_load_connect_then_pids_of_a_running_task),
    both!(containerd_shim_load_pids_of_a_created_task),
    both!(containerd_shim_load_pids_of_a_stopped_task),
    both!(containerd_shim_load_pids_after_delete_is_not_found),
];

/// containerd up to 2.3.3, `shim_load.go`: any error, or no entry, and a running container is "cleaned".
fn containerd_shim_load_connect_then_pids_of_a_running_task(stage: &mut Stage) {
    let container = stage.run("one");
    for _ in 0..3 {
        // What a restarted containerd has is the address in the bundle.
        let address = std::fs::read_to_string(container.bundle.path.join("address")).unwrap();
        let task = crate::task::Task::connect_to(&address);
        assert!(task.connect("one").unwrap().shim_pid > 0);
        let processes = task.pids("one").unwrap().processes;
        assert!(!processes.is_empty() && processes.iter().all(|process| process.pid > 0), "{processes:?}");
    }
}

/// The same between Create and Start.
fn containerd_shim_load_pids_of_a_created_task(stage: &mut Stage) {
    let container = stage.create("one");
    assert!(!container.task.pids("one").unwrap().processes.is_empty());
}

/// The same for a task that ended while containerd was away: its exit status is still to be fetched.
fn containerd_shim_load_pids_of_a_stopped_task(stage: &mut Stage) {
    let container = stage.run("one");
    container.say("exit 7");
    container.wait();
    assert!(!container.task.pids("one").unwrap().processes.is_empty());
    assert_eq!(container.delete(), 7);
}

/// containerd 2.3.4 (54a5a606c) takes `NOT_FOUND` alone for a shim to clean up.
fn containerd_shim_load_pids_after_delete_is_not_found(stage: &mut Stage) {
    let container = stage.run("one");
    container.end();
    assert_eq!(code_of(&container.task.pids("one")), Code::NOT_FOUND);
}
