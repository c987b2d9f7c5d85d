//! The firmware that runs in a QEMU: what the daemon asks of it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use async_trait::async_trait;
use libmica::ext::{ExitReason, ExitReport, PatchReport};
use libmica::{ClientState, Service};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::emulator::Emulator;
use super::image::Image;
use super::pool::Lease;
use super::pulse::Vitals;
use super::registers::Registers;
use super::{diagnosis, exit_record, gdb_socket, migration, patch, postmortem};
use crate::pedestal::console::Console;
use crate::pedestal::patch::{Applied, Marker};
use crate::pedestal::process::ProcessId;
use crate::pedestal::{Cancel, ClientSpec, Ending, Event, Guest, Pulse, Runner, Seen, gdb, report};
use crate::{Result, blocking};

/// What a later daemon needs to take a QEMU over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The process.
    pub(super) process: ProcessId,
    /// Its number for the console's master.
    pub(super) master: i32,
    /// Its number for the console's slave.
    pub(super) slave: i32,
    /// The same of the second console, if there is one.
    #[serde(default)]
    pub(super) shell: Option<(i32, i32)>,
    /// Guest-physical address of the exit record, if the firmware has one.
    pub(super) exit_record: Option<u64>,
    /// The command line for gdb, if the client was created for debugging.
    pub(super) gdb: Option<String>,
    /// What the firmware was patched with.
    #[serde(default)]
    pub(super) patch: Option<Applied>,
}

/// One run of firmware.
#[derive(Debug)]
pub(super) struct QemuGuest {
    pub(super) emulator: Emulator,
    /// `None` once given up.
    pub(super) console: Option<Console>,
    /// The machine's second console, if it was asked for.
    pub(super) shell: Option<Console>,
    pub(super) saved: Saved,
    /// The number of its user, if it had waited for its firmware.
    pub(super) _lease: Option<Lease>,
    /// What was found out for [`Guest::pulse`].
    pub(super) vitals: Vitals,
}

impl QemuGuest {
    /// The run of the client's firmware in this QEMU.
    pub(super) fn new(
        spec: &ClientSpec,
        emulator: Emulator,
        consoles: Vec<Console>,
        image: &Image,
        lease: Option<Lease>,
    ) -> Self {
        let numbers: Vec<_> = consoles.iter().map(Console::numbers).collect();
        let (master, slave) = numbers.first().copied().unwrap_or((-1, -1));
        let debugger = || gdb::command(&spec.message.path, &gdb_socket(&spec.dir).display().to_string());
        let saved = Saved {
            process: emulator.process().id(),
            master,
            slave,
            shell: numbers.get(1).copied(),
            exit_record: image.info().exit_record,
            gdb: spec.message.debug.then(debugger),
            patch: None,
        };
        let mut consoles = consoles.into_iter();
        Self {
            emulator,
            console: consoles.next(),
            shell: consoles.next(),
            saved,
            _lease: lease,
            vitals: Vitals::default(),
        }
    }

    async fn read_exit_record(&mut self) -> Option<[u32; 4]> {
        let address = self.saved.exit_record?;
        match diagnosis::ask(&mut self.emulator, &format!("xp /4xw {address:#x}")).await {
            Ok(text) => exit_record::parse_words(&text),
            Err(e) => {
                log::warn!("cannot read the exit record at {address:#x}: {}", e.sentence());
                None
            }
        }
    }
}

#[async_trait]
impl Guest for QemuGuest {
    fn runner(&self) -> Runner {
        Runner::Process(self.emulator.process().id())
    }

    fn state(&self) -> ClientState {
        self.emulator.state()
    }

    fn services(&self) -> Vec<Service> {
        let device = |console: &Console| Some(console.link().to_owned());
        let console = self.console.as_ref().and_then(device);
        let shell =
            self.shell.as_ref().map(|shell| Service { name: "rpmsg-tty1".to_owned(), device: device(shell) });
        std::iter::once(Service { name: "rpmsg-tty".to_owned(), device: console }).chain(shell).collect()
    }

    fn save(&self) -> serde_json::Value {
        json!(self.saved)
    }

    fn gdb(&self) -> Option<String> {
        self.saved.gdb.clone()
    }

    async fn diagnose(&mut self, firmware: &Path) -> String {
        diagnosis::diagnose(&mut self.emulator, firmware).await
    }

    async fn event(&mut self) -> Event {
        self.emulator.event().await
    }

    async fn pulse(&mut self) -> Pulse {
        self.vitals.pulse(&mut self.emulator, self.saved.exit_record).await
    }

    async fn verdict(&mut self, ending: Ending) -> ExitReport {
        match ending {
            Ending::PoweredOff => exit_record::interpret(
                self.read_exit_record().await,
                report(0, ExitReason::Exited, "the firmware powered off without an exit record"),
            ),
            Ending::Reset => exit_record::interpret(
                self.read_exit_record().await,
                report(1, ExitReason::Reset, "the firmware asked for a reset"),
            ),
            Ending::Panicked => report(1, ExitReason::Panicked, "the machine reported a panic"),
            Ending::Signalled => report(128 + 15, ExitReason::Killed, "a signal asked QEMU to end"),
            Ending::Died => {
                let kind = self.emulator.reap();
                self.emulator.death(kind).await
            }
        }
    }

    async fn registers(&mut self) -> Option<Seen> {
        let text = match postmortem::registers(&mut self.emulator).await {
            Ok(text) => text,
            Err(_) => self.emulator.last_registers().await?,
        };
        let seen = Registers::parse(&text)?;
        Some(Seen { pc: seen.pc, trap: seen.trapped_at(), text })
    }

    async fn dump(&mut self, firmware: &Path, to: File, most: u64) -> Result<()> {
        postmortem::dump(&mut self.emulator, firmware, to, most).await
    }

    async fn reap(&mut self, ending: Ending) -> Result<()> {
        if ending != Ending::Died {
            self.emulator.terminate().await?;
        }
        Ok(())
    }

    async fn stop(&mut self) -> Result<ExitReport> {
        self.emulator.terminate().await?;
        Ok(report(0, ExitReason::Stopped, "stopped by command"))
    }

    async fn pause(&mut self) -> Result<()> {
        self.emulator.pause().await
    }

    async fn resume(&mut self) -> Result<()> {
        self.emulator.resume().await
    }

    async fn checkpoint(&mut self, to: OwnedFd, cancel: Cancel<'_>) -> Result<()> {
        migration::save(&mut self.emulator, to, cancel).await
    }

    async fn patch(&mut self, firmware: OwnedFd, spec: &ClientSpec) -> Result<PatchReport> {
        patch::patch(self, firmware, &Marker::of(spec)).await
    }

    fn patched(&self) -> Option<String> {
        self.saved.patch.as_ref().map(|patch| patch.firmware.to_string())
    }

    async fn release(&mut self) {
        let consoles = [self.console.take(), self.shell.take()];
        blocking::run(|| consoles.into_iter().flatten().for_each(Console::close)).await;
    }
}
