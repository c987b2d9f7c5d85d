//! Requests that must be refused, and with which code.

use containerd_shim_protos::api::{
    CloseIORequest, DeleteRequest, Empty, KillRequest, ResizePtyRequest, StartRequest, StateRequest,
    WaitRequest,
};
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::ttrpc::Code;

use crate::case::both;
use crate::task::{Task, V2, code_of};
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_unknown_methods_are_unimplemented),
    both!(containerd_2_0_unserved_sandbox_service_is_unimplemented),
    both!(readme_unknown_services_are_unimplemented),
    both!(readme_unknown_ids_are_not_found),
    both!(readme_unknown_processes_are_not_found),
    both!(readme_second_create_is_refused),
    both!(readme_second_start_is_refused),
    both!(readme_start_of_a_stopped_task_is_refused),
    both!(readme_delete_of_a_running_task_is_refused),
    both!(readme_second_delete_is_not_found),
];

/// README: "If an RPC is not implemented, the shim MUST answer UNIMPLEMENTED."
fn readme_unknown_methods_are_unimplemented(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let answer = shim.connect().speaking(V2).call::<Empty>("Levitate", &Empty::new());
    assert_eq!(code_of(&answer), Code::UNIMPLEMENTED, "{answer:?}");
}

/// containerd 2.0 probes the sandbox service of a shim; a shim without it says so.
fn containerd_2_0_unserved_sandbox_service_is_unimplemented(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let sandbox = shim.connect().speaking("containerd.runtime.sandbox.v1.Sandbox");
    let answer = sandbox.call::<Empty>("Levitate", &Empty::new());
    assert_eq!(code_of(&answer), Code::UNIMPLEMENTED, "{answer:?}");
}

/// The same for a service that nobody knows.
fn readme_unknown_services_are_unimplemented(stage: &mut Stage) {
    let shim = stage.launch(&stage.bundle("one"));
    let answer = shim.connect().speaking("containerd.task.v9.Task").call::<Empty>("State", &Empty::new());
    assert_eq!(code_of(&answer), Code::UNIMPLEMENTED, "{answer:?}");
}

/// containerd's `errdefs.IsNotFound` decides what is an error to a client and what is done already.
fn readme_unknown_ids_are_not_found(stage: &mut Stage) {
    let container = stage.create("one");
    for (method, answer) in on_process(&container.task, "two", "") {
        assert_eq!(answer, Code::NOT_FOUND, "{method}");
    }
    for (method, answer) in [
        ("Pids", code_of(&container.task.pids("two"))),
        ("Pause", code_of(&container.task.pause("two"))),
        ("Resume", code_of(&container.task.resume("two"))),
    ] {
        assert_eq!(answer, Code::NOT_FOUND, "{method}");
    }
}

/// The same for a process that is not there, of a container that is.
fn readme_unknown_processes_are_not_found(stage: &mut Stage) {
    let container = stage.run("one");
    for (method, answer) in on_process(&container.task, "one", "absent") {
        let passable = answer == Code::NOT_FOUND || (answer == Code::UNKNOWN && !stage.subject.exact_codes());
        assert!(passable, "{method}: {answer:?}");
    }
    container.assert_answers("undisturbed");
}

/// Every method that names a process, asked about one.
fn on_process(task: &Task, id: &str, exec_id: &str) -> Vec<(&'static str, Code)> {
    let (id, exec_id) = (id.to_owned(), exec_id.to_owned());
    macro_rules! ask {
        ($($method:literal: $request:ident { $($field:ident: $value:expr),* }),*) => {
            vec![$(($method, {
                let (id, exec_id) = (id.clone(), exec_id.clone());
                code(task, $method, &$request { id, exec_id, $($field: $value,)* ..Default::default() })
            })),*]
        };
    }
    ask! {
        "State": StateRequest {}, "Start": StartRequest {}, "Kill": KillRequest { signal: 9 },
        "Wait": WaitRequest {}, "Delete": DeleteRequest {}, "CloseIO": CloseIORequest { stdin: true },
        "ResizePty": ResizePtyRequest { width: 80, height: 24 }
    }
}

fn code(task: &Task, method: &str, request: &impl Message) -> Code {
    code_of(&task.call::<Empty>(method, request))
}

/// An id is one task.
fn readme_second_create_is_refused(stage: &mut Stage) {
    let container = stage.run("one");
    let again = container.task.create(&container.bundle.request());
    stage.refused(&again, Code::ALREADY_EXISTS, "a second Create");
    container.assert_answers("undisturbed");
}

/// A running task cannot be started.
fn readme_second_start_is_refused(stage: &mut Stage) {
    let container = stage.run("one");
    stage.refused(&container.task.start("one"), Code::FAILED_PRECONDITION, "a second Start");
    container.assert_answers("undisturbed");
}

/// A task runs once.
fn readme_start_of_a_stopped_task_is_refused(stage: &mut Stage) {
    let container = stage.run("one");
    container.say("exit 0");
    container.wait();
    stage.refused(&container.task.start("one"), Code::FAILED_PRECONDITION, "Start of a stopped task");
}

/// Delete does not kill.
fn readme_delete_of_a_running_task_is_refused(stage: &mut Stage) {
    let container = stage.run("one");
    stage.refused(&container.task.delete("one"), Code::FAILED_PRECONDITION, "Delete of a running task");
    container.assert_answers("undisturbed");
}

/// containerd retries a Delete whose answer it lost.
fn readme_second_delete_is_not_found(stage: &mut Stage) {
    let container = stage.run("one");
    container.end();
    assert_eq!(code_of(&container.task.delete("one")), Code::NOT_FOUND);
}
