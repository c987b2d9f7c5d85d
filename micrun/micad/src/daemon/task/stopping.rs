//! The ends that firmware is asked for, before its power is cut.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use libmica::ClientState;
use libmica::attach::{Attach, From, Mode};
use libmica::ext::ExitReason;
use micrun_firmware::StopCommand;

use super::Task;
use crate::daemon::attach::door;
use crate::error::system;
use crate::pedestal::{KILLED, report};
use crate::{Error, Result};

/// Firmware that was asked to end.
#[derive(Debug)]
pub(super) struct Asked {
    /// How long it may take.
    limit: Option<Duration>,
    /// When that is over.
    until: Option<Instant>,
    /// The connection by which it was asked. What was typed may still be on its way.
    _typed: Option<UnixStream>,
}

impl Asked {
    fn new(limit: Option<Duration>, typed: Option<UnixStream>) -> Self {
        Self { limit, until: limit.and_then(|limit| Instant::now().checked_add(limit)), _typed: typed }
    }

    /// When its power is to be cut.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl Task {
    /// Has firmware that an earlier daemon had asked to end be waited for, as long as the first time.
    pub(super) fn ask_on(&mut self, limit: Option<Duration>) {
        self.asked = limit.filter(|_| self.is_running()).map(|limit| Asked::new(Some(limit), None));
    }

    /// How long firmware that was asked to end may take.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.asked.as_ref().and_then(|asked| asked.limit)
    }

    /// Asks the firmware to end. Firmware that cannot be asked is stopped.
    pub(super) async fn shut_down(&mut self, limit: Option<Duration>) -> Result<()> {
        // Frozen firmware hears nothing.
        let Some(command) = self.vigil.stop.command.clone().filter(|_| self.state == ClientState::Running)
        else {
            return self.stop().await;
        };
        let typed = match self.ask(&command).await {
            Ok(typed) => typed,
            Err(e) => {
                log::warn!(
                    client = self.spec.name(), pedestal = self.pedestal.name();
                    "{}: its power is cut at once, because it cannot be asked to end: {}", self.spec.name(), e.sentence()
                );
                return self.stop().await;
            }
        };
        log::info!(
            client = self.spec.name(), pedestal = self.pedestal.name();
            "{}: asked to end by {command}", self.spec.name()
        );
        // Asking again gives no more time.
        let before = self.asked.take();
        let asked = Asked::new(self.vigil.stop.timeout.or(limit), typed);
        self.asked = before.filter(|before| before.until.is_some()).or(Some(asked));
        self.save(None).await;
        Ok(())
    }

    async fn ask(&mut self, command: &StopCommand) -> Result<Option<UnixStream>> {
        let name = self.spec.name();
        let Some(guest) = &mut self.guest else { return Ok(None) };
        match command {
            StopCommand::Button => guest.press_power_button().await.map(|()| None),
            StopCommand::Line { stream, bytes } => {
                let doors = guest.doors();
                let door = door(name, &doors, stream)?;
                let doing = "type on the console";
                let (ours, theirs) = UnixStream::pair().map_err(|e| Error::System { doing, source: e })?;
                ours.set_nonblocking(true).map_err(|e| Error::System { doing, source: e })?;
                rustix::io::write(&ours, bytes).map_err(system(doing))?;
                let attach = Attach { stream: stream.clone(), from: From::End, mode: Mode::Write };
                door.attach(theirs.as_fd(), &attach)?;
                Ok(Some(ours))
            }
        }
    }

    /// Ends firmware that has not ended in its time.
    pub(super) async fn cut_off(&mut self) {
        let limit = self.asked.take().and_then(|asked| asked.limit).unwrap_or_default();
        let (core, scene) = self.examine_stop().await;
        let Some(guest) = &mut self.guest else { return };
        let detail = format!("it had not ended {limit:?} after it was asked to, so its power was cut");
        let ended = guest.stop().await.map(|_| {
            let mut report = report(KILLED, ExitReason::Stopped, detail);
            report.core = core;
            report
        });
        // There is nobody to answer; close_run has logged it.
        let _ = self.close_run(ended, scene).await;
    }
}
