//! Firmware on a remoteproc, and what the daemon does with it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use async_trait::async_trait;
use libmica::ext::{ExitReason, ExitReport};
use libmica::{ClientState, Service};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::choice::Claim;
use super::command;
use super::kernel_log::KernelLog;
use super::line::SavedLine;
use super::lines::Lines;
use super::sysfs::{Remoteproc, State, System};
use super::watch::Watch;
use crate::pedestal::{Ending, Event, Guest, Runner, report};
use crate::{Error, Result};

/// How long the last output may take on its way to the reader before the end is reported without it.
const DRAIN_BOUND: Duration = Duration::from_secs(2);
/// Status of a run that somebody else has ended: 128 + SIGKILL.
const KILLED: u8 = 137;

/// What a later daemon needs to take the firmware over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// `remoteprocN`.
    pub(super) id: String,
    /// Its name, since the number may be another's one day.
    pub(super) name: String,
    /// The firmware's name in sysfs, which no other run has.
    pub(super) firmware: String,
    /// What sysfs said before the run.
    pub(super) before: Before,
    /// When the firmware was started, in microseconds after boot.
    pub(super) since_usec: u64,
    /// The terminals.
    pub(super) lines: Vec<SavedLine>,
}

/// Settings of a remoteproc that a run changes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Before {
    firmware: Option<String>,
    recovery: Option<String>,
}

impl Before {
    /// Notes the settings, and has crashes reported instead of repaired.
    pub(super) fn take(remoteproc: &Remoteproc) -> Self {
        let firmware = remoteproc.read("firmware").ok().filter(|name| !super::firmware::is_ours(name));
        let recovery = remoteproc.read("recovery").ok().filter(|word| word != "disabled");
        if recovery.is_some()
            && let Err(e) = remoteproc.write("recovery", "disabled")
        {
            log::warn!("{}: a crash will restart the firmware: recovery: {e}", remoteproc.title());
        }
        Self { firmware, recovery }
    }

    /// Puts them back. The remoteproc must be offline: else it would recover.
    pub(super) fn restore(&self, remoteproc: &Remoteproc) {
        for (attribute, value) in [("firmware", &self.firmware), ("recovery", &self.recovery)] {
            if let Some(value) = value
                && let Err(e) = remoteproc.write(attribute, value)
            {
                log::warn!("{}: cannot put {attribute} back to {value:?}: {e}", remoteproc.title());
            }
        }
    }
}

/// One run of firmware.
pub(super) struct CoreGuest {
    pub(super) system: System,
    pub(super) remoteproc: Remoteproc,
    /// `None` once the run is over.
    pub(super) claim: Option<Claim>,
    pub(super) watch: Watch,
    /// What the kernel has said since the start.
    pub(super) log: KernelLog,
    pub(super) lines: Lines,
    pub(super) saved: Saved,
    pub(super) state: ClientState,
}

impl CoreGuest {
    /// What sysfs says of the run; a word of no documented kernel changes nothing.
    fn look(&self) -> Result<ClientState, Ending> {
        match self.remoteproc.state() {
            Err(_) | Ok(Some(State::Deleted)) => Err(Ending::Died),
            Ok(Some(State::Offline)) => Err(Ending::PoweredOff),
            Ok(Some(State::Crashed)) => Err(Ending::Panicked),
            Ok(Some(State::Suspended)) => Ok(ClientState::Suspended),
            Ok(Some(State::Running | State::Attached | State::Detached)) if self.remoteproc.is_paused() => {
                Ok(ClientState::Suspended)
            }
            Ok(Some(State::Running | State::Attached | State::Detached)) => Ok(ClientState::Running),
            Ok(None) => Ok(self.state),
        }
    }

    /// What the driver says of the end, if it says such things.
    fn driver_report(&self) -> Option<ExitReport> {
        let title = self.remoteproc.title();
        let reason = self.remoteproc.device_attribute("exit_reason")?;
        let status = self.remoteproc.device_attribute("exit_status")?.parse().unwrap_or(1);
        Some(match reason.as_str() {
            "exited" => {
                report(status, ExitReason::Exited, format!("the firmware exited with status {status}"))
            }
            "fault" => {
                let detail = format!("the firmware's exception handler gave status {status}");
                report(status, ExitReason::Fault, detail)
            }
            "stopped" | "killed" => {
                report(KILLED, ExitReason::Killed, format!("somebody else has stopped {title}"))
            }
            _ => return None,
        })
    }

    fn report_of(&mut self, ending: Ending) -> ExitReport {
        let title = self.remoteproc.title();
        let from_driver = self.driver_report();
        match ending {
            Ending::Died => report(KILLED, ExitReason::Killed, format!("{title} has been removed")),
            Ending::Panicked => {
                let complaints = self.log.complaints(&self.remoteproc);
                let crashed = || report(1, ExitReason::Fault, format!("{title} has crashed: {complaints}"));
                from_driver.filter(|r| r.reason == ExitReason::Fault).unwrap_or_else(crashed)
            }
            _ => from_driver
                .unwrap_or_else(|| report(0, ExitReason::Exited, format!("{title} has gone offline"))),
        }
    }

    /// Leaves the remoteproc as it was before the run, and lets the last output reach the pty.
    async fn finish(&mut self) {
        if !self.lines.drain(DRAIN_BOUND).await {
            log::info!("{}: output waits for a reader", self.remoteproc.title());
        }
        self.saved.before.restore(&self.remoteproc);
        self.claim = None;
    }

    fn not_stopped(&mut self, problem: &str) -> Error {
        let complaints = self.log.complaints(&self.remoteproc);
        let problem = [problem, complaints.as_str()].join(": ");
        let problem = problem.trim_end_matches(": ").to_owned();
        Error::NotStopped { remoteproc: self.remoteproc.title(), problem }
    }

    /// Freezes the firmware or lets it go on, where the driver can.
    async fn set_paused(&mut self, doing: &'static str, value: &'static str) -> Result<()> {
        let refuse = |problem: &str| Error::RemoteprocCannot {
            remoteproc: self.remoteproc.title(),
            doing,
            problem: problem.to_owned(),
        };
        match self.remoteproc.device_attribute("monitor").as_deref() {
            Some("yes") => {}
            Some(_) => {
                return Err(refuse("no monitor watches over the core (the machine does not start at EL2)"));
            }
            None => return Err(refuse("its driver has no such function")),
        }
        let remoteproc = self.remoteproc.clone();
        let written = command::blocking(move || remoteproc.write_device_attribute("paused", value)).await;
        written.map_err(|e| refuse(&e.to_string()))?;
        self.state = self.look().unwrap_or(self.state);
        Ok(())
    }
}

#[async_trait]
impl Guest for CoreGuest {
    fn runner(&self) -> Runner {
        Runner::Core { since_usec: self.saved.since_usec }
    }

    fn state(&self) -> ClientState {
        self.state
    }

    fn services(&self) -> Vec<Service> {
        self.lines.services()
    }

    fn save(&self) -> serde_json::Value {
        json!(Saved { lines: self.lines.save(), ..self.saved.clone() })
    }

    fn gdb(&self) -> Option<String> {
        None
    }

    async fn event(&mut self) -> Event {
        loop {
            // What there is has been written down by now.
            self.lines.begin();
            self.lines.look(&self.system, &self.remoteproc);
            if self.lines.take_unsaved() {
                return Event::ServicesChanged;
            }
            match self.look() {
                Err(ending) => return Event::Ended(ending),
                Ok(state) if state != self.state => {
                    self.state = state;
                    return Event::StateChanged;
                }
                Ok(_) => self.watch.changed().await,
            }
        }
    }

    async fn reap(&mut self, ending: Ending) -> Result<ExitReport> {
        let report = self.report_of(ending);
        if ending == Ending::Panicked {
            // Without that the remoteproc stays crashed, and its terminals stay.
            let stopped = command::write_state(&self.remoteproc, "stop").await;
            if let Err(e) = stopped.map_err(|e| self.not_stopped(&e.to_string())) {
                log::error!("{}", e.sentence());
            }
        }
        self.finish().await;
        Ok(report)
    }

    async fn stop(&mut self) -> Result<ExitReport> {
        let crashed = self.look().err() == Some(Ending::Panicked);
        let stopped = command::write_state(&self.remoteproc, "stop").await;
        let state = match (stopped, self.remoteproc.state()) {
            // It has ended by itself meanwhile.
            (Err(e), Ok(Some(State::Offline))) if Errno::from_io_error(&e) == Some(Errno::INVAL) => {
                let report = self.report_of(Ending::PoweredOff);
                self.finish().await;
                return Ok(report);
            }
            (Err(e), _) => return Err(self.not_stopped(&e.to_string())),
            (Ok(state), _) => state,
        };
        if state != State::Offline {
            return Err(self.not_stopped(&format!("it is {}; another user holds it", state.as_str())));
        }
        if let Some(core) = self.remoteproc.device_attribute("core_state").filter(|core| core != "off") {
            return Err(self.not_stopped(&format!("its core is {core}")));
        }
        let forced = self.remoteproc.device_attribute("exit_reason").is_some_and(|r| r == "killed");
        let detail = if forced { "stopped by force: it ignored the request" } else { "stopped by command" };
        let stopped = report(0, ExitReason::Stopped, detail);
        let fault = self.driver_report().filter(|r| r.reason == ExitReason::Fault || crashed);
        self.finish().await;
        Ok(fault.unwrap_or(stopped))
    }

    async fn pause(&mut self) -> Result<()> {
        self.set_paused("pause", "1").await
    }

    async fn resume(&mut self) -> Result<()> {
        self.set_paused("resume", "0").await
    }

    async fn checkpoint(&mut self, _: OwnedFd) -> Result<()> {
        Err(Error::CheckpointUnsupported { pedestal: super::NAME })
    }

    fn release(&mut self) {
        self.lines.close();
    }
}
