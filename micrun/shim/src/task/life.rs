//! The life of a process from Create to Delete: its state, its end, those who wait for it, and the events that tell
//! containerd. Each container, exec and sandbox has one.

use std::sync::Mutex;

use micrun_trace::{Current, Span};
use tokio::sync::watch;

use super::events::{Event, EventSink};
use super::exit::Exit;
use super::state::{Attempt, State};
use super::subject::Subject;
use crate::error::{Error, Result};
use crate::os::lock::lock;

/// A life. No lock of it is held while anything is waited for.
#[derive(Debug)]
pub(crate) struct Life {
    subject: Subject,
    state: Mutex<State>,
    exited: watch::Sender<Option<Exit>>,
    /// The Start that began it: its end stands in the same trace.
    origin: Mutex<Current>,
}

impl Life {
    /// The life of what was created and does not run yet.
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            state: Mutex::new(State::Created),
            exited: watch::Sender::new(None),
            origin: Mutex::default(),
        }
    }

    /// Whose it is.
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        lock(&self.state).clone()
    }

    /// Fails unless the state allows what is to be tried.
    pub(crate) fn check(&self, attempt: Attempt) -> Result<()> {
        attempt.check(&lock(&self.state), &self.subject)
    }

    /// The error for what has no process any more.
    pub(crate) fn finished(&self) -> Error {
        Error::Finished(self.subject.to_string())
    }

    /// Does the `work` of Start, which gives the process id, and tells containerd. When it fails the life is over:
    /// whoever waits is answered, and Start is not tried again.
    pub(crate) async fn start(
        &self,
        events: &dyn EventSink,
        work: impl Future<Output = Result<u32>>,
    ) -> Result<u32> {
        lock(&self.state).starting(&self.subject)?;
        moved("starting");
        *lock(&self.origin) = Current::here();
        match work.await {
            Ok(pid) => {
                lock(&self.state).started();
                moved("running");
                publish(events, self.subject.started(pid));
                Ok(pid)
            }
            Err(error) => {
                self.set_stopped(Exit::not_started());
                Err(error)
            }
        }
    }

    /// Says that it is to be ended before it ever ran, so that no Start comes any more. False if it has run.
    pub(crate) fn abandon(&self) -> bool {
        lock(&self.state).abandoned()
    }

    /// Does the `work` of Pause, and tells containerd.
    pub(crate) async fn pause(
        &self,
        events: &dyn EventSink,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        self.check(Attempt::Pause)?;
        work.await?;
        if lock(&self.state).paused() {
            moved("paused");
            publish(events, self.subject.paused());
        }
        Ok(())
    }

    /// Does the `work` of Resume, and tells containerd.
    pub(crate) async fn resume(
        &self,
        events: &dyn EventSink,
        work: impl Future<Output = Result<()>>,
    ) -> Result<()> {
        self.check(Attempt::Resume)?;
        work.await?;
        if lock(&self.state).resumed() {
            moved("running");
            publish(events, self.subject.resumed());
        }
        Ok(())
    }

    /// Makes the end known, once: first to containerd, then to those who wait. `pid` is the process that ended.
    pub(crate) fn finish(&self, events: &dyn EventSink, pid: u32, exit: Exit) {
        if lock(&self.state).stopped(exit.clone()) {
            let origin = lock(&self.origin).clone();
            let _entered = origin.enter();
            let _span = Span::internal("exit")
                .with("container.id", self.subject.container())
                .with("process.pid", pid)
                .with("process.exit.code", exit.status);
            publish(events, self.subject.exited(pid, &exit));
            self.exited.send_replace(Some(exit));
        }
    }

    /// Begins Delete; gives the end. A container that never ran counts as killed, an exec as one that did nothing
    /// wrong, as in containerd's own shim.
    pub(crate) fn delete(&self) -> Result<Exit> {
        let mut state = lock(&self.state);
        state.deleting(&self.subject)?;
        moved("deleting");
        let exit = state.exit().cloned().unwrap_or_else(|| self.subject.end_before_start());
        drop(state);
        // Who still waits for what never ran is answered, too.
        self.exited.send_if_modified(|known| known.is_none() && known.replace(exit.clone()).is_none());
        Ok(exit)
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Exit {
        let mut exited = self.exited.subscribe();
        loop {
            if let Some(exit) = exited.borrow_and_update().clone() {
                return exit;
            }
            // Cannot fail: `self` holds the sender.
            let _ = exited.changed().await;
        }
    }

    fn set_stopped(&self, exit: Exit) {
        if lock(&self.state).stopped(exit.clone()) {
            self.exited.send_replace(Some(exit));
        }
    }
}

/// Tells the trace that the state is another one.
fn moved(to: &'static str) {
    micrun_trace::event("state", "micrun.state", to);
}

fn publish(events: &dyn EventSink, event: Option<Event>) {
    if let Some(event) = event {
        events.publish(event);
    }
}

impl Subject {
    fn end_before_start(&self) -> Exit {
        match self {
            Self::Exec { .. } => Exit::now(0),
            Self::Container(_) | Self::Sandbox(_) => Exit::killed(),
        }
    }
}

/// The events of a life. containerd has none for sandboxes, and knows only containers that are paused.
impl Subject {
    fn started(&self, pid: u32) -> Option<Event> {
        match self {
            Self::Container(id) => Some(Event::start(id, pid)),
            Self::Exec { container, id } => Some(Event::exec_started(container, id, pid)),
            Self::Sandbox(_) => None,
        }
    }

    fn exited(&self, pid: u32, exit: &Exit) -> Option<Event> {
        match self {
            Self::Container(id) => Some(Event::exit(id, id, pid, exit)),
            Self::Exec { container, id } => Some(Event::exit(container, id, pid, exit)),
            Self::Sandbox(_) => None,
        }
    }

    fn paused(&self) -> Option<Event> {
        if let Self::Container(id) = self { Some(Event::paused(id)) } else { None }
    }

    fn resumed(&self) -> Option<Event> {
        if let Self::Container(id) = self { Some(Event::resumed(id)) } else { None }
    }
}
