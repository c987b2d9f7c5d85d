//! One process of a container: its own, or one that Exec has added.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::net::unix::pipe::Sender;
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::os::children::Child;
use crate::os::tty::Terminal;
use crate::rtos::end as exit;
use crate::stdio::{Paths, Takers};
use crate::task::context::Context;
use crate::task::engine::View;
use crate::task::events::Event;
use crate::task::state::{Exit, State};

/// Status of a process whose end could not be learned.
const UNKNOWN: u32 = 255;

/// A process.
#[derive(Debug)]
pub(super) struct Process {
    /// containerd's id of it: the container's own for the container's process.
    pub id: String,
    /// Its streams, as they were named.
    pub paths: Paths,
    /// Held while it is being started: its end is made known after its start, however soon it comes.
    pub gate: tokio::sync::Mutex<()>,
    inner: Mutex<Inner>,
    exited: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub state: State,
    /// Once it is there, and until it has ended.
    pub child: Option<Arc<Child>>,
    pub pid: u32,
    pub keep_stdin: Option<Sender>,
    /// Logging programs, until Delete.
    pub takers: Takers,
    pub terminal: Terminal,
}

impl Process {
    /// One that does not run yet.
    pub(super) fn new(id: &str, paths: Paths) -> Self {
        let inner = Inner {
            state: State::Created,
            child: None,
            pid: 0,
            keep_stdin: None,
            takers: Takers::default(),
            terminal: Terminal::default(),
        };
        Self {
            id: id.to_owned(),
            paths,
            gate: tokio::sync::Mutex::default(),
            inner: Mutex::new(inner),
            exited: watch::Sender::new(None),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.lock().state.clone()
    }

    pub(super) fn view(&self) -> View {
        let inner = self.lock();
        View { pid: inner.pid, state: inner.state.clone(), paths: self.paths.clone() }
    }

    /// Whether it runs, or is about to.
    pub(super) fn is_alive(&self) -> bool {
        self.lock().child.is_some()
    }

    /// Waits for the end.
    pub(super) async fn wait(&self) -> Exit {
        exit::known(&self.exited).await
    }

    /// Sends a signal.
    pub(super) fn signal(&self, number: u32) -> Result<()> {
        let child = self.lock().child.clone().ok_or_else(|| Error::Finished(self.id.clone()))?;
        match child.signal(number) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Finished(self.id.clone())),
            Err(source) => Err(Error::Signal { number, id: self.id.clone(), source }),
        }
    }

    /// Lets stdin end when its writers have gone.
    pub(super) fn close_stdin(&self) {
        self.lock().keep_stdin = None;
    }

    /// Tells the terminal its size.
    pub(super) fn resize(&self, columns: u32, rows: u32) {
        self.lock().terminal.resize(&self.id, columns, rows);
    }

    /// Waits until the host's process has ended.
    pub(super) async fn ended(&self, child: &Child) -> Exit {
        let status = child.wait().await.unwrap_or_else(|error| {
            log::error!("{}: waiting for process {} failed: {error}", self.id, child.pid);
            UNKNOWN
        });
        Exit { status, at: SystemTime::now() }
    }

    /// Makes the end known, once all its output is with those who take it. `container` is the container's id.
    pub(super) async fn finish(&self, context: &Context, container: &str, exit: Exit) {
        let mut takers = std::mem::take(&mut self.lock().takers);
        takers.written().await;
        let _gate = self.gate.lock().await;
        let pid = {
            let mut inner = self.lock();
            inner.takers = takers;
            inner.child = None;
            inner.keep_stdin = None;
            inner.terminal.close();
            if !inner.state.stopped(exit.clone()) {
                return;
            }
            inner.pid
        };
        log::info!("{} of {container} ended with status {}", self.id, exit.status);
        context.events.publish(Event::exit(container, &self.id, pid, &exit));
        self.exited.send_replace(Some(exit));
    }
}
