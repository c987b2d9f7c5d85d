//! How a task ends, and what its exit status is.

use containerd_shim_protos::api::Empty;
use containerd_shim_protos::api::{KillRequest, Status};
use containerd_shim_protos::ttrpc::Code;
use nix::libc::{SIGINT, SIGKILL, SIGTERM};

use crate::case::both;
use crate::subject::Program;
use crate::{Case, Stage};

pub(super) const CASES: &[Case] = &[
    both!(readme_exit_status_is_the_program_s_own),
    both!(readme_exit_status_0),
    both!(readme_sigkill_is_137),
    both!(readme_sigterm_is_143),
    both!(readme_sigint_is_130),
    both!(readme_signal_0_kills_nothing),
    both!(readme_kill_all_ends_the_task),
    both!(readme_kill_of_a_created_task_ends_it),
    both!(containerd_9828_kill_after_exit_is_not_found),
    both!(containerd_4769_kill_twice_ends_once),
    both!(readme_delete_answers_status_time_and_pid),
    both!(containerd_10651_exit_while_start_is_asked),
];

/// `WaitResponse.exit_status`.
fn readme_exit_status_is_the_program_s_own(stage: &mut Stage) {
    let container = stage.run("one");
    container.say("exit 7");
    assert_eq!(container.wait(), 7);
    assert_eq!(container.delete(), 7);
}

/// A program that ends well.
fn readme_exit_status_0(stage: &mut Stage) {
    let container = stage.create_of("one", Program::Hello, &[]);
    container.start();
    assert_eq!(container.wait(), 0);
    assert_eq!(container.delete(), 0);
}

fn after_signal(stage: &Stage, signal: i32) -> u32 {
    let container = stage.run("one");
    // Its handlers are set by the time it answers.
    container.assert_answers("ready");
    container.kill(signal);
    let status = container.wait();
    assert_eq!(container.delete(), status);
    status
}

/// 128 + 9, as a shell has it.
fn readme_sigkill_is_137(stage: &mut Stage) {
    assert_eq!(after_signal(stage, SIGKILL), 137);
}

/// 128 + 15.
fn readme_sigterm_is_143(stage: &mut Stage) {
    assert_eq!(after_signal(stage, SIGTERM), 143);
}

/// 128 + 2.
fn readme_sigint_is_130(stage: &mut Stage) {
    assert_eq!(after_signal(stage, SIGINT), 130);
}

/// kill(2): signal 0 asks whether the process is there.
fn readme_signal_0_kills_nothing(stage: &mut Stage) {
    let container = stage.run("one");
    container.kill(0);
    container.assert_answers("alive");
}

/// `KillRequest.all`, as `nerdctl kill` and the CRI plugin set it.
fn readme_kill_all_ends_the_task(stage: &mut Stage) {
    let container = stage.run("one");
    let request =
        KillRequest { id: "one".into(), signal: SIGKILL.unsigned_abs(), all: true, ..Default::default() };
    container.task.call::<Empty>("Kill", &request).unwrap();
    assert_eq!(container.wait(), 137);
}

/// containerd kills a task whose Start it gave up: it ends without having run, and can be deleted.
fn readme_kill_of_a_created_task_ends_it(stage: &mut Stage) {
    let container = stage.create("one");
    container.kill(SIGKILL);
    assert_eq!(container.wait(), 137);
    container.delete();
    container.assert_unknown();
}

/// containerd#9828, `errdefs`: clients show `NOT_FOUND` as "process already finished", any other code as a failure.
fn containerd_9828_kill_after_exit_is_not_found(stage: &mut Stage) {
    let container = stage.create_of("one", Program::Hello, &[]);
    container.start();
    container.wait();
    let answer = container.task.kill("one", SIGKILL.unsigned_abs());
    stage.refused(&answer, Code::NOT_FOUND, "Kill of a task that has ended");
}

/// containerd#4769: SIGTERM, impatience, SIGKILL: one end, one exit event.
fn containerd_4769_kill_twice_ends_once(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("ready");
    let kills = [SIGTERM, SIGKILL, SIGKILL].map(|signal| {
        let task = container.shim.connect();
        std::thread::spawn(move || task.kill("one", signal.unsigned_abs()).is_ok())
    });
    let accepted = kills.map(|kill| kill.join().unwrap());
    assert!(accepted.contains(&true), "no Kill was accepted");
    let status = container.wait();
    assert!([143, 137].contains(&status), "{status}");
    container.delete();
    stage.events.expect_life("one");
}

/// `DeleteResponse`: containerd keeps these as the task's last words.
fn readme_delete_answers_status_time_and_pid(stage: &mut Stage) {
    let container = stage.create("one");
    let pid = container.start();
    container.say("exit 3");
    let waited = container.task.wait("one").unwrap();
    let deleted = container.task.delete("one").unwrap();
    assert_eq!((deleted.pid, deleted.exit_status), (pid, 3));
    assert_eq!(deleted.exited_at, waited.exited_at);
}

/// containerd#10651, #9719: a program that ends before Start has answered is not lost.
fn containerd_10651_exit_while_start_is_asked(stage: &mut Stage) {
    for round in 0..5 {
        let id = format!("round-{round}");
        let container = stage.create_of(&id, Program::Hello, &[]);
        let waiter = {
            let (task, id) = (container.shim.connect(), id.clone());
            std::thread::spawn(move || task.wait(&id).unwrap().exit_status)
        };
        container.start();
        assert_eq!(waiter.join().unwrap(), 0);
        assert_eq!(container.status(), Status::STOPPED);
        container.delete();
        stage.events.expect_life(&id);
    }
}
