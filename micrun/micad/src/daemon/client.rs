//! A client: one task that does what changes it, and a snapshot that everyone may read at any time.

use std::sync::Arc;

use libmica::ClientState;
use libmica::ext::ExitReport;
use tokio::sync::{mpsc, oneshot, watch};

use super::state::SavedClient;
use crate::pedestal::{ClientSpec, Ending, Event, Guest, Pedestal, ProcessId};
use crate::{Error, Result};

/// Requests that may wait for a client's task; each belongs to a connection, which waits with it.
const QUEUE: usize = 16;

/// What is known of a client.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// State.
    pub(super) state: ClientState,
    /// The process that runs the firmware.
    pub(super) process: Option<ProcessId>,
    /// Whether the link to the console leads anywhere.
    pub(super) has_console: bool,
    /// The command line for gdb.
    pub(super) gdb: Option<String>,
    /// How the last run ended; `None` while one goes on, or before the first.
    pub(super) exit: Option<ExitReport>,
}

/// Something to do for a client's task.
#[derive(Debug)]
pub(super) enum Action {
    Start,
    Stop,
    Pause,
    Resume,
    Set {
        key: String,
        value: String,
    },
    /// Stop and forget; the task ends.
    Remove,
    /// End the task and leave the firmware as it is.
    Detach,
}

#[derive(Debug)]
struct Request {
    action: Action,
    answer: oneshot::Sender<Result<()>>,
}

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
    /// Makes a client that does not run, with its task.
    pub(super) fn spawn(
        spec: ClientSpec,
        pedestal: Arc<dyn Pedestal>,
        exit: Option<ExitReport>,
    ) -> Arc<Self> {
        Self::spawn_with(spec, pedestal, None, exit)
    }

    /// Makes a client whose firmware an earlier daemon has started.
    pub(super) fn spawn_with(
        spec: ClientSpec,
        pedestal: Arc<dyn Pedestal>,
        guest: Option<Box<dyn Guest>>,
        exit: Option<ExitReport>,
    ) -> Arc<Self> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let spec = Arc::new(spec);
        let name = pedestal.name();
        let state = guest.as_ref().map_or(ClientState::Offline, |guest| guest.state());
        let task = Task { spec: Arc::clone(&spec), pedestal, guest, state, exit };
        let (publish, snapshot) = watch::channel(task.snapshot());
        tokio::spawn(task.run(inbox, publish));
        Arc::new(Self { spec, pedestal: name, requests, snapshot })
    }

    /// What is known now.
    pub(super) fn snapshot(&self) -> Snapshot {
        self.snapshot.borrow().clone()
    }

    /// Does `action`, after what was asked for before.
    pub(super) async fn act(&self, action: Action) -> Result<()> {
        let (answer, done) = oneshot::channel();
        let removed = || Error::Removed(self.spec.name().to_owned());
        self.requests.send(Request { action, answer }).await.map_err(|_| removed())?;
        done.await.map_err(|_| removed())?
    }

    /// Waits until the current run has ended.
    pub(super) async fn ended(&self) -> Result<ExitReport> {
        let mut snapshot = self.snapshot.clone();
        let over = |s: &Snapshot| s.exit.is_some() || s.state == ClientState::Offline;
        let last = snapshot.wait_for(over).await.map(|s| s.exit.clone());
        // A client that was removed has published its end before.
        let exit = last.unwrap_or_else(|_| self.snapshot.borrow().exit.clone());
        exit.ok_or_else(|| Error::NeverStarted(self.spec.name().to_owned()))
    }
}

/// A client's task: the only one that touches its guest.
struct Task {
    spec: Arc<ClientSpec>,
    pedestal: Arc<dyn Pedestal>,
    /// The guest of the current run, or of the last one, whose console can still be read.
    guest: Option<Box<dyn Guest>>,
    state: ClientState,
    exit: Option<ExitReport>,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>, publish: watch::Sender<Snapshot>) {
        loop {
            let running = self.is_running();
            let guest = self.guest.as_mut().filter(|_| running);
            let event = async {
                match guest {
                    Some(guest) => guest.event().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // A command that comes with the end of the run finds the run ended.
                biased;
                event = event => {
                    match event {
                        Event::Ended(ending) => self.reap(ending).await,
                        Event::StateChanged => self.take_state(),
                    }
                    publish.send_replace(self.snapshot());
                }
                request = inbox.recv() => {
                    let Some(Request { action, answer }) = request else { return };
                    let last = matches!(action, Action::Remove | Action::Detach);
                    let result = self.perform(action).await;
                    let last = last && result.is_ok();
                    publish.send_replace(self.snapshot());
                    // Whoever asked may have gone away meanwhile; the deed is done all the same.
                    let _ = answer.send(result);
                    if last {
                        return;
                    }
                }
            }
        }
    }

    fn is_running(&self) -> bool {
        matches!(self.state, ClientState::Running | ClientState::Suspended)
    }

    fn snapshot(&self) -> Snapshot {
        let running = self.guest.as_ref().filter(|_| self.is_running());
        Snapshot {
            state: self.state,
            process: running.map(|guest| guest.process()),
            has_console: self.guest.is_some(),
            gdb: running.and_then(|guest| guest.gdb()),
            exit: self.exit.clone(),
        }
    }

    async fn perform(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Start => self.start().await,
            Action::Stop => self.stop().await,
            Action::Pause => self.pause().await,
            Action::Resume => self.resume().await,
            Action::Set { key, value } => self.pedestal.set(&self.spec, &key, &value),
            Action::Remove => self.remove().await,
            Action::Detach => Ok(()),
        }
    }

    async fn start(&mut self) -> Result<()> {
        if self.state != ClientState::Offline {
            return Err(self.wrong_state("start"));
        }
        self.release();
        let guest = self.pedestal.start(&self.spec).await?;
        log::info!("{}: started, process {}", self.spec.name(), guest.process().pid);
        self.state = guest.state();
        self.guest = Some(guest);
        self.exit = None;
        self.save();
        Ok(())
    }

    /// As upstream's: stopping what does not run is no error. What could not be stopped is tried again.
    async fn stop(&mut self) -> Result<()> {
        let Some(guest) = self.guest.as_mut().filter(|_| self.state != ClientState::Offline) else {
            return Ok(());
        };
        let ended = guest.stop().await;
        self.close_run(ended)
    }

    async fn reap(&mut self, ending: Ending) {
        let Some(guest) = &mut self.guest else { return };
        let ended = guest.reap(ending).await;
        // There is nobody to answer; close_run has logged it.
        let _ = self.close_run(ended);
    }

    fn close_run(&mut self, ended: Result<ExitReport>) -> Result<()> {
        let name = self.spec.name();
        let result = match ended {
            Ok(report) => {
                log::info!("{name}: {} (status {}, {:?})", report.detail, report.status, report.reason);
                self.state = ClientState::Offline;
                self.exit = Some(report);
                Ok(())
            }
            Err(e) => {
                log::error!("{name}: {}", e.sentence());
                self.state = ClientState::Error;
                Err(e)
            }
        };
        self.save();
        result
    }

    async fn pause(&mut self) -> Result<()> {
        match (&mut self.guest, self.state) {
            (Some(guest), ClientState::Running) => guest.pause().await?,
            _ => return Err(self.wrong_state("pause")),
        }
        self.take_state();
        Ok(())
    }

    async fn resume(&mut self) -> Result<()> {
        match (&mut self.guest, self.state) {
            (Some(guest), ClientState::Suspended) => guest.resume().await?,
            _ => return Err(self.wrong_state("resume")),
        }
        self.take_state();
        Ok(())
    }

    fn take_state(&mut self) {
        if let Some(guest) = &self.guest {
            self.state = guest.state();
            log::info!("{}: now {}", self.spec.name(), self.state);
        }
    }

    async fn remove(&mut self) -> Result<()> {
        self.stop().await?;
        self.release();
        log::info!("{}: removed", self.spec.name());
        Ok(())
    }

    fn release(&mut self) {
        if let Some(mut guest) = self.guest.take() {
            guest.release();
        }
    }

    fn wrong_state(&self, command: &'static str) -> Error {
        Error::WrongState { command, name: self.spec.name().to_owned(), state: self.state }
    }

    /// Writes down what a later daemon needs. A failure costs only that, not the run.
    fn save(&self) {
        let run = self.guest.as_ref().filter(|_| self.is_running()).map(|guest| guest.save());
        if let Err(e) = SavedClient::new(&self.spec, run, self.exit.clone()).write(&self.spec.dir) {
            log::error!("{}: {}", self.spec.name(), e.sentence());
        }
    }
}
