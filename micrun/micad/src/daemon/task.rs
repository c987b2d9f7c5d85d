//! A client's task.

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use libmica::ext::{Diagnosis, End, ExitReason, ExitReport, Happening, Labels, PatchReport, Scene};
use libmica::{ClientState, Launch};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep_until;

use super::chronicle::Chronicle;
use super::inbox::Inbox;
use super::request::{Action, Request, Snapshot};
use super::state::{self, Past, SavedClient};
use super::vigil::Vigil;
use super::watchdog::Watch;
use crate::logger::labels;
use crate::metrics::counts;
use crate::pedestal::{Cancel, ClientSpec, Event, Guest, Marker, Pedestal, now, report};
use crate::{Error, Result, blocking};

mod watching;

/// A client's task: the only one that touches its guest.
pub(super) struct Task {
    spec: Arc<ClientSpec>,
    pedestal: Arc<dyn Pedestal>,
    /// The guest of the current run, or of the last one, whose console can still be read.
    guest: Option<Box<dyn Guest>>,
    chronicle: Arc<Chronicle>,
    state: ClientState,
    run: u64,
    ended: Option<(u64, ExitReport)>,
    /// What the firmware of this run was seen doing when it was reported as silent.
    silent: Option<Diagnosis>,
    /// The digest of the firmware that the state was patched to from which this run went on.
    restored_patch: Option<String>,
    /// When this run began.
    began_at: Option<String>,
    /// Whether it was given cgroups.
    in_cgroup: bool,
    /// What has happened and was not told yet.
    news: Vec<Happening>,
    vigil: Vigil,
    /// What the log says of it.
    labels: Labels,
    /// The watchdog over the present run, if it has one, and when it looks next.
    watch: Option<(Watch, Instant)>,
}

impl Task {
    /// A task for a client that does not run, or that `guest` runs; an exit in its `past` is the end of its last run,
    /// which `guest` has run then.
    pub(super) fn new(
        spec: Arc<ClientSpec>,
        pedestal: Arc<dyn Pedestal>,
        chronicle: Arc<Chronicle>,
        guest: Option<Box<dyn Guest>>,
        past: Past,
    ) -> Self {
        let Past { exit, restored_patch, starts, began_at, in_cgroup, vigil, labels } = past;
        labels::introduce(spec.name(), &labels);
        let running = guest.as_ref().filter(|_| exit.is_none());
        let state = running.map_or(ClientState::Offline, |guest| guest.state());
        let run = starts.max(u64::from(guest.is_some() || exit.is_some()));
        let ended = exit.map(|report| (run, report));
        let mut task = Self {
            spec,
            pedestal,
            guest,
            chronicle,
            state,
            run,
            ended,
            silent: None,
            restored_patch,
            began_at,
            in_cgroup,
            news: Vec::new(),
            vigil,
            labels,
            watch: None,
        };
        task.watch_anew();
        task
    }

    /// Works off requests until the client is removed or left alone, and publishes what becomes of it.
    pub(super) async fn run(mut self, inbox: mpsc::Receiver<Request>, publish: watch::Sender<Snapshot>) {
        let mut inbox = Inbox::new(inbox);
        loop {
            let running = self.is_running();
            let look = self.watch.as_ref().map(|(_, next)| (*next).into());
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
                        Event::ServicesChanged => self.save(None).await,
                    }
                    self.publish(&publish);
                }
                () = sleep_until(look.unwrap_or_else(tokio::time::Instant::now)), if look.is_some() => {
                    if self.look().await {
                        self.publish(&publish);
                    }
                }
                request = inbox.next() => {
                    let Some(Request { action, asked, origin, answer }) = request else { return };
                    let last = matches!(action, Action::Remove | Action::Detach);
                    let result = origin.carry(self.perform(action, asked, &mut inbox)).await;
                    let last = last && result.is_ok();
                    self.publish(&publish);
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

    /// What is known now.
    pub(super) fn snapshot(&self) -> Snapshot {
        let running = self.guest.as_ref().filter(|_| self.is_running());
        Snapshot {
            state: self.state,
            runner: running.map(|guest| guest.runner()),
            services: self.guest.as_ref().map(|guest| guest.services()).unwrap_or_default(),
            doors: self.guest.as_ref().map(|guest| guest.doors()).unwrap_or_default(),
            silent: running.and_then(|_| self.silent.clone()),
            patched: running.and_then(|_| self.patched()),
            gdb: running.and_then(|guest| guest.gdb()),
            place: running.and_then(|guest| guest.place()),
            run: self.run,
            began_at: self.began_at.clone(),
            in_cgroup: self.in_cgroup,
            ended: self.ended.clone(),
        }
    }

    /// The digest of the firmware that the current run, or the last one, was patched to.
    fn patched(&self) -> Option<String> {
        self.guest.as_ref().and_then(|guest| guest.patched()).or_else(|| self.restored_patch.clone())
    }

    async fn perform(&mut self, action: Action, asked: Instant, inbox: &mut Inbox) -> Result<()> {
        match action {
            Action::Start(launch) => self.start(launch, asked, pin!(inbox.ending())).await,
            Action::Stop => self.stop().await,
            Action::Pause => self.pause().await,
            Action::Resume => self.resume().await,
            Action::Diagnose { silent, answer } => self.diagnose(silent, answer, pin!(inbox.ending())).await,
            Action::Checkpoint(to) => self.checkpoint(to, pin!(inbox.ending())).await,
            Action::Patch { firmware, answer } => self.patch(firmware, answer).await,
            Action::Set { key, value } => self.set(&key, &value).await,
            Action::About(labels) => {
                labels::introduce(self.spec.name(), &labels);
                self.labels = labels;
                self.save(None).await;
                Ok(())
            }
            Action::Remove => self.remove().await,
            Action::Detach => Ok(()),
        }
    }

    async fn start(&mut self, mut launch: Launch, asked: Instant, cancel: Cancel<'_>) -> Result<()> {
        if self.state != ClientState::Offline {
            return Err(self.wrong_state("start"));
        }
        let restored_patch =
            launch.patched.take().map(|file| state::restored_patch(file.into())).transpose()?;
        self.release().await;
        let in_cgroup = !launch.cgroups.is_empty();
        let started = self.pedestal.start(&self.spec, launch, cancel).await;
        if let Err(e) = &started {
            self.count_failed_start(e);
            self.tell(|client| Happening::Failed { client, detail: e.sentence() });
        }
        let guest = started?;
        if let Some(timings) = counts::starts(self.pedestal.name()) {
            timings.observe(asked.elapsed());
        }
        let pid = guest.runner().pid();
        log::info!(
            client = self.spec.name(), pedestal = self.pedestal.name(), pid = pid;
            "{}: started, {}", self.spec.name(), guest.runner()
        );
        self.state = guest.state();
        self.guest = Some(guest);
        self.run += 1;
        self.silent = None;
        self.restored_patch = restored_patch;
        (self.began_at, self.in_cgroup) = (Some(now()), in_cgroup);
        self.watch_anew();
        let starts = self.run;
        self.tell(|client| Happening::Started { client, pid, starts });
        self.save(None).await;
        Ok(())
    }

    /// A start that somebody did not want any more has not failed.
    fn count_failed_start(&self, problem: &Error) {
        if !matches!(problem, Error::Cancelled { .. }) {
            counts::START_FAILURES.count(self.pedestal.name());
        }
    }

    /// Has those who watch told what happened to this client.
    fn tell(&mut self, what: impl FnOnce(String) -> Happening) {
        self.news.push(what(self.spec.name().to_owned()));
    }

    /// Publishes what is known now, then tells what has happened: who hears of it and asks gets the new state.
    fn publish(&mut self, snapshot: &watch::Sender<Snapshot>) {
        snapshot.send_replace(self.snapshot());
        self.news.drain(..).for_each(|what| self.chronicle.events.tell(what));
    }

    /// As upstream's: stopping what does not run is no error. What could not be stopped is tried again.
    async fn stop(&mut self) -> Result<()> {
        let (core, scene) = self.examine_stop().await;
        let Some(guest) = self.guest.as_mut().filter(|_| self.state != ClientState::Offline) else {
            return Ok(());
        };
        let ended = guest.stop().await.map(|report| ExitReport { core, ..report });
        self.close_run(ended, scene).await
    }

    async fn close_run(&mut self, ended: Result<ExitReport>, scene: Option<Scene>) -> Result<()> {
        let name = self.spec.name();
        let (result, end) = match ended {
            Ok(mut report) => {
                if let Some(digest) = self.patched() {
                    report.detail = format!("{}; it had been patched to {digest}", report.detail);
                }
                log::info!(
                    client = name, pedestal = self.pedestal.name(), status = report.status;
                    "{name}: {} (status {}, {:?})", report.detail, report.status, report.reason
                );
                counts::EXITS.count(report.reason.as_str());
                self.state = ClientState::Offline;
                self.ended = Some((self.run, report.clone()));
                let exit = report.clone();
                self.tell(|client| Happening::Exited { client, exit });
                (Ok(()), Some(End { began_at: self.began_at.clone(), report, scene }))
            }
            Err(e) => {
                counts::STOP_FAILURES.fetch_add(1, Ordering::Relaxed);
                log::error!(client = name, pedestal = self.pedestal.name(); "{name}: {}", e.sentence());
                self.tell(|client| Happening::Failed { client, detail: e.sentence() });
                // What is known to run on is not broken.
                if !matches!(e, Error::NotStopped { .. }) {
                    self.state = ClientState::Error;
                }
                (Err(e), None)
            }
        };
        // One that could not be ended and runs on is watched as before.
        if !self.is_running() {
            self.watch = None;
        }
        self.save(end).await;
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

    /// Firmware whose end is asked for needs no diagnosis any more.
    async fn diagnose(
        &mut self,
        silent: bool,
        answer: oneshot::Sender<Diagnosis>,
        cancel: Cancel<'_>,
    ) -> Result<()> {
        let running = self.is_running();
        let Some(guest) = self.guest.as_mut().filter(|_| running) else {
            return Err(self.wrong_state("diagnose"));
        };
        let detail = tokio::select! {
            detail = guest.diagnose(&self.spec.message.path) => detail,
            () = cancel => {
                return Err(Error::Ending { command: "diagnose", name: self.spec.name().to_owned() });
            }
        };
        let diagnosis = Diagnosis { detail, seen_at: now() };
        if silent {
            log::warn!(
                client = self.spec.name(), pedestal = self.pedestal.name();
                "{}: it runs and shows no sign of life: {}", self.spec.name(), diagnosis.detail
            );
            self.silent = Some(diagnosis.clone());
            self.tell(|client| Happening::Silent { client, diagnosis: diagnosis.clone() });
        }
        // Whoever asked may have gone away meanwhile.
        let _ = answer.send(diagnosis);
        Ok(())
    }

    async fn checkpoint(&mut self, to: OwnedFd, cancel: Cancel<'_>) -> Result<()> {
        match &mut self.guest {
            Some(guest) if matches!(self.state, ClientState::Running | ClientState::Suspended) => {
                guest.checkpoint(to, cancel).await
            }
            _ => Err(self.wrong_state("checkpoint")),
        }
    }

    /// Firmware that stands still may be in the middle of what changes, for a reason that nobody here knows.
    async fn patch(&mut self, firmware: OwnedFd, answer: oneshot::Sender<PatchReport>) -> Result<()> {
        let Some(guest) = self.guest.as_mut().filter(|_| self.state == ClientState::Running) else {
            return Err(self.wrong_state("patch"));
        };
        let patched = guest.patch(firmware, &self.spec).await;
        if let Err(half @ Error::HalfPatched { .. }) = &patched {
            // Nobody may let it go on, and the next daemon will not.
            let stopped = guest.stop().await.map(|_| report(1, ExitReason::Failed, half.sentence()));
            self.close_run(stopped, None).await?;
        }
        Marker::of(&self.spec).clear()?;
        if self.is_running() && self.guest.as_ref().is_some_and(|guest| guest.state() != self.state) {
            self.take_state();
        }
        let report = patched?;
        self.save(None).await;
        log::info!(
            client = self.spec.name(), pedestal = self.pedestal.name();
            "{}: patched to {}: {} bytes in {} ranges, in a pause of {} us",
            self.spec.name(),
            report.firmware,
            report.bytes,
            report.ranges,
            report.pause_usec
        );
        self.tell(|client| Happening::Patched { client, patch: report.clone() });
        // Whoever asked may have gone away meanwhile.
        let _ = answer.send(report);
        Ok(())
    }

    fn take_state(&mut self) {
        let Some(guest) = &self.guest else { return };
        let before = std::mem::replace(&mut self.state, guest.state());
        log::info!(
            client = self.spec.name(), pedestal = self.pedestal.name();
            "{}: now {}", self.spec.name(), self.state
        );
        if before == self.state {
            return;
        }
        self.watch_anew();
        match self.state {
            ClientState::Suspended => self.tell(|client| Happening::Paused { client }),
            ClientState::Running => self.tell(|client| Happening::Resumed { client }),
            _ => {}
        }
    }

    async fn remove(&mut self) -> Result<()> {
        self.stop().await?;
        self.release().await;
        log::info!(
            client = self.spec.name(), pedestal = self.pedestal.name();
            "{}: removed", self.spec.name()
        );
        labels::forget(self.spec.name());
        Ok(())
    }

    async fn release(&mut self) {
        if let Some(mut guest) = self.guest.take() {
            guest.release().await;
        }
    }

    fn wrong_state(&self, command: &'static str) -> Error {
        Error::WrongState { command, name: self.spec.name().to_owned(), state: self.state }
    }

    /// Writes down what a later daemon needs, and an `end` into the history. A failure costs only that, not the run.
    async fn save(&self, end: Option<End>) {
        // Of a run that has ended, there may be consoles to take over.
        let run = self.guest.as_ref().filter(|_| self.state != ClientState::Error).map(|guest| guest.save());
        let past = Past {
            exit: self.snapshot().exit().cloned(),
            restored_patch: self.restored_patch.clone(),
            starts: self.run,
            began_at: self.began_at.clone(),
            in_cgroup: self.in_cgroup,
            vigil: self.vigil,
            labels: self.labels.clone(),
        };
        let saved = SavedClient::new(&self.spec, run, past);
        let (endings, spec) = (self.chronicle.endings.clone(), Arc::clone(&self.spec));
        let written = blocking::run(move || {
            if let Some(end) = end {
                endings.add(spec.name(), end);
            }
            saved.write(&spec.dir)
        });
        if let Err(e) = written.await {
            log::error!(client = self.spec.name(); "{}: {}", self.spec.name(), e.sentence());
        }
    }
}
