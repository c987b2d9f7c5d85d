//! Races and failures around one container.

use std::time::Duration;

use containerd_shim_protos::ttrpc::Code;
use libmica::Error;
use libmica::ext::ExitReason;

use super::fixture::{Fixture, Script, code};

#[tokio::test]
async fn containerd_9719_exit_before_start_returns() {
    let mut f = Fixture::new(Script { exit_during_start: true, ..Script::default() });
    f.create().await.unwrap();
    f.start().await.unwrap();
    assert_eq!(f.wait().await, 3);
    assert_eq!(f.events(), ["create", "start", "exit 3"]);
}

#[tokio::test]
async fn output_comes_whole_before_the_exit() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.daemon.print("first byte ");
    f.start().await.unwrap();
    f.daemon.print("last byte");
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.read_stdout().await, "first byte last byte");
    assert_eq!(f.wait().await, 0);
}

#[tokio::test]
async fn containerd_4769_single_task_exit() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.kill(15).await.unwrap();
    assert_eq!(f.wait().await, 143);
    assert_eq!(code(f.kill(9).await), Code::NOT_FOUND);
    assert_eq!(f.delete().await.unwrap(), 143);
    assert_eq!(f.events(), ["create", "start", "exit 143", "delete"]);
    assert_eq!((f.daemon.count("rm"), f.leftovers()), (1, 0));
}

#[tokio::test]
async fn the_first_signal_gives_the_status() {
    for (signal, status) in [(2, 130), (9, 137), (15, 143)] {
        let mut f = Fixture::new(Script::default());
        f.create().await.unwrap();
        f.start().await.unwrap();
        f.kill(1).await.unwrap();
        assert_eq!(f.daemon.count("stop"), 0, "SIGHUP must not stop an RTOS");
        f.kill(signal).await.unwrap();
        assert_eq!(f.wait().await, status);
    }
}

#[tokio::test]
async fn a_refused_kill_changes_no_status() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.daemon.fail_stop().send(refusal()).unwrap();
    assert_eq!(code(f.kill(15).await), Code::FAILED_PRECONDITION);
    f.kill(9).await.unwrap();
    assert_eq!(f.wait().await, 137);
}

/// containerd gives up on a slow Kill and sends the next, while the first is still to be answered.
#[tokio::test]
async fn a_kill_that_is_refused_after_the_next_was_asked_changes_no_status() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    let (terminated, killed) = (f.daemon.fail_stop(), f.daemon.fail_stop());
    let (first, second, status) = tokio::join!(f.kill(15), f.kill(9), async {
        f.until(|f| f.daemon.count("stop") == 2).await;
        terminated.send(refusal()).unwrap();
        // The end is known before the answer.
        f.daemon.end(ExitReason::Stopped, 0);
        let status = f.wait().await;
        drop(killed.send(Error::ClientNotFound { name: "c".into() }));
        status
    });
    assert_eq!((code(first), second.is_ok(), status), (Code::FAILED_PRECONDITION, true, 137));
}

#[tokio::test]
async fn a_kill_without_an_answer_is_the_cause_if_nobody_else_asked() {
    for (next, status) in [(Some(9), 137), (None, 143)] {
        let mut f = Fixture::new(Script::default());
        f.create().await.unwrap();
        f.start().await.unwrap();
        let late = Error::Timeout { command: "stop".into(), after: Duration::ZERO };
        f.daemon.fail_stop().send(late).unwrap();
        assert_eq!(code(f.kill(15).await), Code::DEADLINE_EXCEEDED);
        match next {
            Some(signal) => f.kill(signal).await.unwrap(),
            None => f.daemon.end(ExitReason::Stopped, 0),
        }
        assert_eq!(f.wait().await, status);
    }
}

fn refusal() -> Error {
    Error::Failed { command: "stop".into(), text: "the remoteproc does not stop".into() }
}

#[tokio::test]
async fn its_own_status_wins_over_a_late_signal() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.daemon.end(ExitReason::Fault, 139);
    assert_eq!(f.wait().await, 139);
}

#[tokio::test]
async fn a_daemon_that_is_restarted_is_asked_again() {
    let mut f = Fixture::new(Script { broken_waits: 3, ..Script::default() });
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.daemon.end(ExitReason::Exited, 7);
    assert_eq!(f.wait().await, 7);
}

#[tokio::test]
async fn upstreams_daemon_without_wait_is_polled() {
    let mut f = Fixture::new(Script { no_wait: true, ..Script::default() });
    f.create().await.unwrap();
    f.start().await.unwrap();
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.wait().await, 0);
}

#[tokio::test]
async fn a_refused_start_ends_the_task() {
    let mut f = Fixture::new(Script { refuse_start: true, ..Script::default() });
    f.create().await.unwrap();
    assert_eq!(code(f.start().await), Code::FAILED_PRECONDITION);
    assert_eq!(f.wait().await, 126, "who waits is answered");
    assert_eq!(f.read_stdout().await, "", "the streams have ended");
    assert_eq!(code(f.start().await), Code::FAILED_PRECONDITION);
    assert_eq!(code(f.kill(9).await), Code::NOT_FOUND);
    assert_eq!(f.delete().await.unwrap(), 126);
    assert_eq!(f.events(), ["create", "delete"]);
    assert_eq!(f.leftovers(), 0);
}

#[tokio::test]
async fn a_second_start_disturbs_nobody() {
    let mut f = Fixture::new(Script::default());
    let (stdin, stdout) = (f.fifo("stdin"), f.output_fifo());
    f.create_with(|request| {
        request.stdin = stdin.display().to_string();
        request.stdout = stdout;
    })
    .await
    .unwrap();
    f.start().await.unwrap();
    assert_eq!(code(f.start().await), Code::FAILED_PRECONDITION);
    // Nobody holds stdin open but the shim: what is typed later still arrives.
    for text in ["one", "two"] {
        std::fs::write(&stdin, text).unwrap();
        assert_eq!(f.read_input(3).await, text);
    }
    f.daemon.print("still there");
    f.daemon.end(ExitReason::Exited, 0);
    assert_eq!(f.read_stdout().await, "still there");
    assert_eq!(f.wait().await, 0);
}

#[tokio::test]
async fn moves_that_the_state_forbids_are_refused() {
    let mut f = Fixture::new(Script::default());
    assert_eq!(code(f.start().await), Code::NOT_FOUND);
    f.create().await.unwrap();
    assert_eq!(code(f.create().await), Code::ALREADY_EXISTS);
    f.start().await.unwrap();
    assert_eq!(code(f.start().await), Code::FAILED_PRECONDITION);
    assert_eq!(code(f.delete().await), Code::FAILED_PRECONDITION);
    f.kill(9).await.unwrap();
    f.wait().await;
    f.delete().await.unwrap();
    assert_eq!(code(f.delete().await), Code::NOT_FOUND);
}

#[tokio::test]
async fn a_task_killed_before_it_ran_ends_without_the_daemon() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    f.kill(15).await.unwrap();
    assert_eq!(f.wait().await, 143);
    assert_eq!(f.daemon.count("stop"), 0);
    assert_eq!(f.read_stdout().await, "");
}

#[tokio::test]
async fn only_a_running_task_pauses_and_only_a_paused_one_resumes() {
    let mut f = Fixture::new(Script::default());
    f.create().await.unwrap();
    assert_eq!(code(f.pause().await), Code::FAILED_PRECONDITION);
    f.start().await.unwrap();
    assert_eq!(code(f.resume().await), Code::FAILED_PRECONDITION);
    f.pause().await.unwrap();
    assert_eq!(code(f.pause().await), Code::FAILED_PRECONDITION);
    f.resume().await.unwrap();
    f.pause().await.unwrap();
    f.kill(9).await.unwrap();
    assert_eq!(f.wait().await, 137);
    assert_eq!(f.events(), ["create", "start", "paused", "resumed", "paused", "exit 137"]);
}
