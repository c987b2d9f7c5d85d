//! Every move of a life from every state: which are legal, where they lead, what containerd and those who wait learn.

use std::sync::{Arc, Mutex};

use containerd_shim_protos::api::Status;

use crate::error::{Error, Result};
use crate::task::events::{Event, EventSink};
use crate::task::exit::Exit;
use crate::task::life::Life;
use crate::task::state::{Attempt, State};
use crate::task::subject::Subject;

#[derive(Default)]
struct Recorder(Mutex<Vec<Event>>);

impl EventSink for Recorder {
    fn publish(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Recorder {
    fn topics(&self) -> Vec<String> {
        let events = self.0.lock().unwrap();
        events.iter().map(|event| event.topic().trim_start_matches("/tasks/").to_owned()).collect()
    }
}

/// The states, by the way that leads there.
const STATES: [&str; 7] = ["created", "starting", "abandoned", "running", "paused", "stopped", "deleting"];
/// The moves, in the columns of [`LEGAL`].
const MOVES: [&str; 7] = ["start", "pause", "resume", "finish", "delete", "abandon", "exec"];

/// For each state the moves that it allows, and the state that each leads to.
#[rustfmt::skip]
const LEGAL: [(&str, &[(&str, &str)]); 7] = [
    ("created",   &[("start", "running"), ("finish", "stopped"), ("delete", "being deleted"), ("abandon", "being deleted"), ("exec", "created")]),
    ("starting",  &[("finish", "stopped"), ("exec", "starting")]),
    ("abandoned", &[("finish", "stopped"), ("delete", "being deleted"), ("abandon", "being deleted")]),
    ("running",   &[("pause", "paused"), ("finish", "stopped"), ("exec", "running")]),
    ("paused",    &[("resume", "running"), ("finish", "stopped")]),
    ("stopped",   &[("delete", "being deleted")]),
    ("deleting",  &[]),
];

fn container() -> Life {
    Life::new(Subject::process("c", ""))
}

/// A life in a state. `starting` is held there by work that never ends.
async fn life_in(state: &str, events: &Arc<Recorder>) -> Arc<Life> {
    let life = Arc::new(container());
    let start = async || life.start(&**events, async { Ok(7) }).await.unwrap();
    match state {
        "starting" => {
            let (life, events) = (Arc::clone(&life), Arc::clone(events));
            tokio::spawn(async move { life.start(&*events, std::future::pending()).await });
            tokio::task::yield_now().await;
        }
        "abandoned" => assert!(life.abandon()),
        "running" => _ = start().await,
        "paused" => {
            start().await;
            life.pause(&**events, async { Ok(()) }).await.unwrap();
        }
        "stopped" => life.finish(&**events, 7, Exit::now(3)),
        "deleting" => {
            life.finish(&**events, 7, Exit::now(3));
            life.delete().unwrap();
        }
        _ => {}
    }
    events.0.lock().unwrap().clear();
    life
}

/// Tries a move; false when it was refused or had no effect.
async fn try_move(name: &str, life: &Life, events: &Recorder) -> bool {
    let done = async { Ok(()) };
    match name {
        "start" => life.start(events, async { Ok(7) }).await.is_ok(),
        "pause" => life.pause(events, done).await.is_ok(),
        "resume" => life.resume(events, done).await.is_ok(),
        "finish" => {
            life.finish(events, 7, Exit::now(9));
            !events.topics().is_empty()
        }
        "delete" => life.delete().is_ok(),
        "abandon" => life.abandon(),
        _ => life.check(Attempt::Exec).is_ok(),
    }
}

#[tokio::test]
async fn every_move_from_every_state() {
    for state in STATES {
        for name in MOVES {
            let events = Arc::new(Recorder::default());
            let life = life_in(state, &events).await;
            let before = life.state();
            let legal = LEGAL.iter().find(|(from, _)| *from == state).unwrap().1;
            let leads_to = legal.iter().find(|(legal, _)| *legal == name).map(|(_, to)| *to);
            assert_eq!(try_move(name, &life, &events).await, leads_to.is_some(), "{name} in {state}");
            if let Some(to) = leads_to {
                assert_eq!(life.state().name(), to, "{name} in {state}");
            } else {
                assert_eq!(life.state(), before, "{name} in {state} must change nothing");
                assert!(events.topics().is_empty(), "{name} in {state} must tell nothing");
            }
        }
    }
}

#[tokio::test]
async fn what_a_state_allows_to_be_tried() {
    let allowed = [
        (Attempt::Checkpoint, &["running", "paused"][..]),
        (Attempt::Update, &["created", "starting", "abandoned", "running", "paused"]),
        (Attempt::Command, &["running"]),
    ];
    for (attempt, states) in allowed {
        for state in STATES {
            let life = life_in(state, &Arc::default()).await;
            assert_eq!(life.check(attempt).is_ok(), states.contains(&state), "{attempt:?} in {state}");
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_is_the_end_and_is_told_to_those_who_wait() {
    let events = Recorder::default();
    let life = container();
    let refused = async { Err::<u32, _>(Error::Unimplemented("no")) };
    let (waited, started) = tokio::join!(life.wait(), life.start(&events, refused));
    assert!(matches!(started, Err(Error::Unimplemented("no"))));
    assert_eq!(waited.status, 126);
    assert_eq!(life.state(), State::Stopped(waited));
    assert_eq!(life.state().status(), Status::STOPPED);
    assert!(events.topics().is_empty(), "what never started has neither start nor exit");
    assert_eq!(life.delete().unwrap().status, 126);
}

#[tokio::test]
async fn a_pause_that_fails_or_comes_too_late_changes_nothing() {
    let events = Recorder::default();
    let life = container();
    life.start(&events, async { Ok(7) }).await.unwrap();
    let refused: Result<()> = life.pause(&events, async { Err(Error::Unimplemented("no")) }).await;
    assert!(refused.is_err());
    assert_eq!(life.state(), State::Running);
    let ends_meanwhile = async {
        life.finish(&events, 7, Exit::now(0));
        Ok(())
    };
    life.pause(&events, ends_meanwhile).await.unwrap();
    assert_eq!(life.state().exit().unwrap().status, 0);
    assert_eq!(events.topics(), ["start", "exit"]);
}

#[tokio::test]
async fn the_first_end_counts_and_is_told_once() {
    let events = Recorder::default();
    let life = Life::new(Subject::process("c", "e"));
    life.start(&events, async { Ok(7) }).await.unwrap();
    life.finish(&events, 7, Exit::signalled(15));
    life.finish(&events, 7, Exit::now(0));
    assert_eq!(life.wait().await.status, 143);
    assert_eq!(life.delete().unwrap().status, 143);
    assert_eq!(life.state().exit().unwrap().status, 143);
    assert_eq!(events.topics(), ["exec-started", "exit"]);
}

#[tokio::test]
async fn who_waits_for_what_is_deleted_before_it_ran_is_answered() {
    let life = container();
    let (waited, deleted) = tokio::join!(life.wait(), async { life.delete().unwrap() });
    assert_eq!((waited.status, deleted.status), (137, 137));
}

/// containerd's client suite wants 0, as containerd's own shim answers.
#[tokio::test]
async fn an_exec_that_never_ran_is_deleted_with_status_0() {
    let life = Life::new(Subject::process("c", "e"));
    let (waited, deleted) = tokio::join!(life.wait(), async { life.delete().unwrap() });
    assert_eq!((waited.status, deleted.status), (0, 0));
}

#[tokio::test]
async fn a_sandbox_has_no_events_of_the_task_api() {
    let events = Recorder::default();
    let life = Life::new(Subject::Sandbox("s".into()));
    life.start(&events, async { Ok(7) }).await.unwrap();
    life.finish(&events, 7, Exit::unknown());
    assert_eq!(life.wait().await.status, 255);
    assert!(events.topics().is_empty());
}

#[test]
fn refusals_name_whom_they_are_about() {
    let refused = |container, exec| Life::new(Subject::process(container, exec)).check(Attempt::Pause);
    let texts = [refused("c", ""), refused("c", "e")].map(|refused| refused.unwrap_err().to_string());
    assert_eq!(texts[0], "container `c` is created, so it cannot be paused");
    assert_eq!(texts[1], "exec `e` of container `c` is created, so it cannot be paused");
    let finished = Life::new(Subject::Sandbox("s".into())).finished().to_string();
    assert_eq!(finished, "sandbox `s` has already finished");
}
