//! A client: one task that does what changes it, and a snapshot that everyone may read at any time.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use libmica::ClientState;
use libmica::ext::{Diagnosis, ExitReport, PatchReport};
use micrun_trace::Current;
use tokio::sync::{mpsc, oneshot, watch};

use super::chronicle::Chronicle;
use super::request::{Action, Request, Snapshot};
use super::state::Past;
use super::task::Task;
use crate::pedestal::{ClientSpec, Guest, Pedestal};
use crate::{Error, Result};

/// Requests that may wait for a client's task; each belongs to a connection, which waits with it.
const QUEUE: usize = 16;

/// The way to a client.
#[derive(Debug)]
pub(super) struct Client {
    /// What it is made of.
    pub(super) spec: Arc<ClientSpec>,
    /// Name of its pedestal.
    pub(super) pedestal: &'static str,
    requests: mpsc::Sender<Request>,
    snapshot: watch::Receiver<Snapshot>,
}

impl Client {
    /// Makes a client that was never started, with its task.
    pub(super) fn spawn(
        spec: ClientSpec,
        pedestal: Arc<dyn Pedestal>,
        chronicle: Arc<Chronicle>,
    ) -> Arc<Self> {
        Self::spawn_with(spec, pedestal, chronicle, None, Past::default())
    }

    /// Makes a client whose firmware an earlier daemon has started; with an exit in its `past` it has ended.
    pub(super) fn spawn_with(
        spec: ClientSpec,
        pedestal: Arc<dyn Pedestal>,
        chronicle: Arc<Chronicle>,
        guest: Option<Box<dyn Guest>>,
        past: Past,
    ) -> Arc<Self> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let spec = Arc::new(spec);
        let name = pedestal.name();
        let task = Task::new(Arc::clone(&spec), pedestal, chronicle, guest, past);
        let (publish, snapshot) = watch::channel(task.snapshot());
        tokio::spawn(task.run(inbox, publish));
        Arc::new(Self { spec, pedestal: name, requests, snapshot })
    }

    /// What is known now.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Its state now.
    pub(super) fn state(&self) -> ClientState {
        self.snapshot.borrow().state
    }

    /// Does `action`, after what was asked for before.
    pub(super) async fn act(&self, action: Action) -> Result<()> {
        let (asked, origin) = (Instant::now(), Current::here());
        let (answer, done) = oneshot::channel();
        let removed = || Error::Removed(self.spec.name().to_owned());
        self.requests.send(Request { action, asked, origin, answer }).await.map_err(|_| removed())?;
        done.await.map_err(|_| removed())?
    }

    /// What its firmware is doing; `silent` has it remembered.
    pub(super) async fn diagnose(&self, silent: bool) -> Result<Diagnosis> {
        let (answer, seen) = oneshot::channel();
        self.act(Action::Diagnose { silent, answer }).await?;
        seen.await.map_err(|_| Error::Removed(self.spec.name().to_owned()))
    }

    /// Has the memory of its firmware be that of another one.
    pub(super) async fn patch(&self, firmware: OwnedFd) -> Result<PatchReport> {
        let (answer, done) = oneshot::channel();
        self.act(Action::Patch { firmware, answer }).await?;
        done.await.map_err(|_| Error::Removed(self.spec.name().to_owned()))
    }

    /// Waits until the run that is the current one now has ended.
    pub(super) async fn ended(&self) -> Result<ExitReport> {
        let mut snapshot = self.snapshot.clone();
        let run = snapshot.borrow().run;
        if run == 0 {
            return Err(Error::NeverStarted(self.spec.name().to_owned()));
        }
        let ended = snapshot.wait_for(|s| s.ended_since(run).is_some()).await;
        let report = ended.ok().and_then(|s| s.ended_since(run).cloned());
        match report {
            Some(report) => Ok(report),
            // A client that is removed publishes its end before it goes, so it is the daemon that ends. The
            // firmware runs on: no answer is the true one, and the next daemon will be asked again.
            None => std::future::pending().await,
        }
    }
}
