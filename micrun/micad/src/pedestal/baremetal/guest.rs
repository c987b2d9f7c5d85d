//! Firmware on a remoteproc: what the daemon asks of it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libmica::ext::{ExitReport, PatchReport};
use libmica::{ClientState, Service};
use micrun_firmware::{Sha256Digest, Watchdog};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

use super::choice::Claim;
use super::core::Core;
use super::line::SavedLine;
use super::memory::CoreMemory;
use super::patch::{self, Base};
use super::settings::Settings;
use super::watch::Watch;
use super::{diagnosis, postmortem};
use crate::blocking::{self, COPIES};
use crate::pedestal::broker::Door;
use crate::pedestal::patch::{Applied, Marker};
use crate::pedestal::registers::number;
use crate::pedestal::{Cancel, ClientSpec, Ending, Event, Guest, HEARTBEAT, Pulse, Runner, Seen};
use crate::{Error, Result};

/// How long the last output may take on its way to the reader before the end is reported without it.
const DRAIN_BOUND: Duration = Duration::from_secs(2);

/// What a later daemon needs to take the firmware over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// `remoteprocN`.
    pub(super) id: String,
    /// Its name, since the number may be another's one day.
    pub(super) name: String,
    /// The firmware's name in sysfs, which no other run has.
    pub(super) firmware: String,
    /// The digest of its file.
    #[serde(default)]
    pub(super) sha256: Option<Sha256Digest>,
    /// What it was patched with.
    #[serde(default)]
    pub(super) patch: Option<Applied>,
    /// What sysfs said before the run.
    pub(super) before: Settings,
    /// Physical address of the exit record, if the firmware has one.
    #[serde(default)]
    pub(super) exit_record: Option<u64>,
    /// When the firmware was started, in microseconds after boot.
    pub(super) since_usec: u64,
    /// The terminals.
    pub(super) lines: Vec<SavedLine>,
    /// The command line for gdb, if the client was created for debugging and the driver can.
    #[serde(default)]
    pub(super) gdb: Option<String>,
}

/// One run of firmware.
pub(super) struct CoreGuest {
    core: Arc<Mutex<Core>>,
    /// `None` once the run is over.
    claim: Option<Claim>,
    watch: Watch,
    saved: Saved,
    services: Vec<Service>,
    doors: Vec<Door>,
    state: ClientState,
}

impl CoreGuest {
    /// A run that goes on, or has ended and has no `claim`. What `saved` says is written down already, or will be.
    pub(super) fn new(core: Core, claim: Option<Claim>, watch: Watch, saved: Saved) -> Self {
        let state = core.state().ok().flatten().unwrap_or(ClientState::Running);
        let (services, doors) = (core.lines.services(), core.lines.doors());
        Self { core: Arc::new(Mutex::new(core)), claim, watch, saved, services, doors, state }
    }

    /// Does something that blocks. It is done even if the caller stops waiting; what is asked for next comes after it.
    async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Core) -> T + Send + 'static) -> T {
        let mut core = Arc::clone(&self.core).lock_owned().await;
        blocking::run(move || work(&mut core)).await
    }

    /// Lets the last output reach the pty, and leaves the remoteproc as it was before the run.
    async fn finish(&mut self) {
        let crashed = self.with(|core| core.remoteproc.is_crashed()).await;
        if !self.core.lock().await.lines.drain(DRAIN_BOUND, crashed).await {
            log::info!("{} ({}): output waits for a reader", self.saved.id, self.saved.name);
        }
        self.with(|core| core.before.restore(&core.notes, &core.remoteproc)).await;
        self.claim = None;
    }

    async fn set_paused(&mut self, doing: &'static str, value: &'static str) -> Result<()> {
        let state = self.with(move |core| core.set_paused(doing, value).map(|()| core.state())).await?;
        self.state = state.ok().flatten().unwrap_or(self.state);
        Ok(())
    }
}

#[async_trait]
impl Guest for CoreGuest {
    fn runner(&self) -> Runner {
        Runner::Core { since_usec: self.saved.since_usec }
    }

    fn place(&self) -> Option<String> {
        Some(format!("{} ({})", self.saved.id, self.saved.name))
    }

    fn state(&self) -> ClientState {
        self.state
    }

    fn services(&self) -> Vec<Service> {
        self.services.clone()
    }

    fn doors(&self) -> Vec<Door> {
        self.doors.clone()
    }

    fn save(&self) -> serde_json::Value {
        json!(self.saved)
    }

    fn gdb(&self) -> Option<String> {
        self.saved.gdb.clone()
    }

    async fn diagnose(&mut self, firmware: &Path) -> String {
        let firmware = firmware.to_owned();
        self.with(move |core| diagnosis::diagnose(&core.system, &core.remoteproc, &firmware)).await
    }

    async fn event(&mut self) -> Event {
        loop {
            let written = self.saved.lines.clone();
            let sight = self.with(move |core| core.look(&written)).await;
            if sight.lines != self.saved.lines || sight.services != self.services {
                self.saved.lines = sight.lines;
                (self.services, self.doors) = (sight.services, sight.doors);
                return Event::ServicesChanged;
            }
            match sight.state {
                Err(ending) => return Event::Ended(ending),
                Ok(Some(state)) if state != self.state => {
                    self.state = state;
                    return Event::StateChanged;
                }
                Ok(_) => self.watch.changed().await,
            }
        }
    }

    async fn verdict(&mut self, ending: Ending) -> ExitReport {
        self.with(move |core| core.report_of(ending)).await
    }

    async fn registers(&mut self) -> Option<Seen> {
        let text = self.with(|core| core.remoteproc.device_attribute("registers")).await?;
        Some(Seen { pc: number(&text, "pc")?, trap: None, text })
    }

    async fn pulse(&mut self, watched: Watchdog) -> Pulse {
        let place = self.saved.exit_record.filter(|_| watched.heartbeat.is_some());
        let place = place.and_then(|record| record.checked_add(HEARTBEAT));
        let look = |place| move |core: &mut Core| CoreMemory::open(&core.remoteproc).ok()?.word(place);
        let heartbeat = match place {
            Some(place) => self.with(look(place)).await,
            None => None,
        };
        Pulse { heartbeat, ..Pulse::default() }
    }

    async fn dump(&mut self, firmware: &Path, to: File, most: u64) -> Result<()> {
        let firmware = firmware.to_owned();
        self.with(move |core| postmortem::dump(core, &firmware, &to, most)).await
    }

    async fn reap(&mut self, ending: Ending) -> Result<()> {
        self.with(move |core| core.reap(ending)).await;
        self.finish().await;
        Ok(())
    }

    async fn stop(&mut self) -> Result<ExitReport> {
        let report = self.with(Core::stop).await?;
        self.finish().await;
        Ok(report)
    }

    async fn pause(&mut self) -> Result<()> {
        self.set_paused("pause", "1").await
    }

    async fn resume(&mut self) -> Result<()> {
        self.set_paused("resume", "0").await
    }

    async fn checkpoint(&mut self, _: OwnedFd, _: Cancel<'_>) -> Result<()> {
        Err(Error::CheckpointUnsupported { pedestal: super::NAME })
    }

    async fn patch(&mut self, firmware: OwnedFd, spec: &ClientSpec) -> Result<PatchReport> {
        let Saved { sha256, patch: applied, .. } = self.saved.clone();
        let base = Base { path: spec.message.path.clone(), sha256, applied };
        let (firmware, marker) = (File::from(firmware), Marker::of(spec));
        let place = COPIES.place().await;
        let patched = self.with(move |core| {
            let _place = place;
            let patched = patch::patch(core, &base, &firmware, &marker);
            (patched, core.state())
        });
        let (patched, state) = patched.await;
        self.state = state.ok().flatten().unwrap_or(self.state);
        let (plan, pause) = patched?;
        let report = plan.report(pause);
        self.saved.patch = Some(plan.applied);
        Ok(report)
    }

    fn patched(&self) -> Option<String> {
        self.saved.patch.as_ref().map(|patch| patch.firmware.to_string())
    }

    async fn release(&mut self) {
        self.with(|core| core.lines.close()).await;
        self.services.clear();
        self.doors.clear();
    }
}
