//! What a run of firmware consists of on the kernel's side: its remoteproc, its terminals, the kernel's log.
//!
//! Everything here is files of sysfs and devices, so every method blocks.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libmica::ext::{ExitReason, ExitReport};
use libmica::{ClientState, Service};
use nix::errno::Errno;

use super::endpoint::Announced;
use super::kernel_log::KernelLog;
use super::line::SavedLine;
use super::lines::Lines;
use super::revive;
use super::settings::Settings;
use super::sysfs::{Remoteproc, State, System};
use crate::pedestal::broker::Door;
use crate::pedestal::{Ending, KILLED, report};
use crate::{Error, Result};

/// How long a state may stay undefined after a command. The kernel has changed it when the write returns.
const SETTLE_BOUND: Duration = Duration::from_secs(5);
const SETTLE_PAUSE: Duration = Duration::from_millis(2);

/// One run of firmware.
pub(super) struct Core {
    pub(super) system: System,
    pub(super) remoteproc: Remoteproc,
    /// What the kernel has said since the start.
    pub(super) log: KernelLog,
    pub(super) lines: Lines,
    /// What a run changes, as it was before.
    pub(super) before: Settings,
    /// Where it is noted, if the run cannot put it back.
    pub(super) notes: PathBuf,
}

/// What was found of a run.
pub(super) struct Sight {
    /// The terminals, for a later daemon.
    pub(super) lines: Vec<SavedLine>,
    /// Those that the firmware has announced, for a status.
    pub(super) services: Vec<Service>,
    /// The ways to them.
    pub(super) doors: Vec<Door>,
    /// What the firmware does, or how it has ended; `None` for a word of no documented kernel.
    pub(super) state: Result<Option<ClientState>, Ending>,
}

impl Core {
    /// Lets bytes pass through the terminals that are in `written`, takes up those that the firmware has announced since
    /// the last look, and says what there is.
    pub(super) fn look(&mut self, written: &[SavedLine]) -> Sight {
        self.lines.begin(written);
        let announced = Announced::read(&self.system, &self.remoteproc);
        self.lines.look(&self.system, &self.remoteproc, &announced);
        let mut services = self.lines.services();
        services.extend(announced.others(self.lines.channels()));
        let doors = self.lines.doors();
        Sight { lines: self.lines.save(), services, doors, state: self.state() }
    }

    /// What the firmware does, or how it has ended; `None` for a word of no documented kernel.
    pub(super) fn state(&self) -> Result<Option<ClientState>, Ending> {
        match self.remoteproc.state() {
            Err(_) | Ok(Some(State::Deleted)) => Err(Ending::Died),
            Ok(Some(State::Offline)) => Err(Ending::PoweredOff),
            Ok(Some(State::Crashed)) => Err(Ending::Panicked),
            Ok(Some(State::Suspended)) => Ok(Some(ClientState::Suspended)),
            Ok(Some(State::Running | State::Attached | State::Detached)) if self.remoteproc.is_paused() => {
                Ok(Some(ClientState::Suspended))
            }
            Ok(Some(State::Running | State::Attached | State::Detached)) => Ok(Some(ClientState::Running)),
            Ok(None) => Ok(None),
        }
    }

    /// Stops the firmware and says how it has ended.
    pub(super) fn stop(&mut self) -> Result<ExitReport> {
        self.lines.keep_traces(&self.system, &self.remoteproc);
        let stopped = self.try_stop();
        if stopped.is_err() {
            self.lines.follow_traces(&self.system, &self.remoteproc);
        }
        stopped
    }

    fn try_stop(&mut self) -> Result<ExitReport> {
        let crashed = self.state() == Err(Ending::Panicked);
        let state = match (command(&self.remoteproc, "stop"), self.remoteproc.state()) {
            // It has ended by itself meanwhile.
            (Err(e), Ok(Some(State::Offline))) if e.raw_os_error() == Some(Errno::EINVAL as i32) => {
                return Ok(self.report_of(Ending::PoweredOff));
            }
            (Err(e), _) if revive::is_refused(&self.remoteproc, &e) => {
                revive::leave(self.lines.client(), &self.remoteproc);
                return Ok(self.report_of(Ending::Panicked));
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
        let fault = self.driver_report().filter(|r| r.reason == ExitReason::Fault || crashed);
        Ok(fault.unwrap_or_else(|| report(0, ExitReason::Stopped, detail)))
    }

    /// Cleans up after firmware that has ended by itself.
    pub(super) fn reap(&mut self, ending: Ending) {
        self.lines.keep_traces(&self.system, &self.remoteproc);
        if ending != Ending::Panicked {
            return;
        }
        // Without that the remoteproc stays crashed, and its terminals stay.
        match command(&self.remoteproc, "stop") {
            Ok(_) => {}
            Err(e) if revive::is_refused(&self.remoteproc, &e) => {
                revive::leave(self.lines.client(), &self.remoteproc);
            }
            Err(e) => log::error!("{}", self.not_stopped(&e.to_string()).sentence()),
        }
    }

    /// Freezes the firmware or lets it go on, where the driver can.
    pub(super) fn set_paused(&self, doing: &'static str, value: &str) -> Result<()> {
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
        self.remoteproc.write_device_attribute("paused", value).map_err(|e| refuse(&e.to_string()))
    }

    /// How firmware that has ended by itself has ended.
    pub(super) fn report_of(&mut self, ending: Ending) -> ExitReport {
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

    fn not_stopped(&mut self, problem: &str) -> Error {
        let complaints = self.log.complaints(&self.remoteproc);
        let problem = [problem, complaints.as_str()].join(": ");
        let problem = problem.trim_end_matches(": ").to_owned();
        Error::NotStopped { remoteproc: self.remoteproc.title(), problem }
    }
}

/// Writes `start` or `stop` to the remoteproc; gives the state that it has then. This takes as long as the kernel takes.
pub(super) fn command(remoteproc: &Remoteproc, command: &str) -> io::Result<State> {
    remoteproc.write("state", command)?;
    settled(remoteproc, |_| true)
}

/// The state that the remoteproc has once it is a known one that is `expected`, or the last known one.
pub(super) fn settled(remoteproc: &Remoteproc, expected: impl Fn(State) -> bool) -> io::Result<State> {
    let deadline = Instant::now() + SETTLE_BOUND;
    let mut last = None;
    while Instant::now() < deadline {
        last = remoteproc.state().ok().flatten();
        if let Some(state) = last.filter(|state| expected(*state)) {
            return Ok(state);
        }
        std::thread::sleep(SETTLE_PAUSE);
    }
    last.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, "the remoteproc is in no known state"))
}
