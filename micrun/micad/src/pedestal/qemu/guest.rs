//! The firmware that runs in a QEMU: what the daemon asks of it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use libmica::ext::{ExitReason, ExitReport, PatchReport};
use libmica::{ClientState, Service};
use micrun_firmware::Watchdog;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::emulator::Emulator;
use super::image::Image;
use super::pool::Lease;
use super::port::{Home, Port, Revival, SavedPort};
use super::pulse::Vitals;
use super::registers::Registers;
use super::{diagnosis, exit_record, gdb_socket, migration, patch, port, postmortem};
use crate::pedestal::broker::Door;
use crate::pedestal::patch::{Applied, Marker};
use crate::pedestal::process::ProcessId;
use crate::pedestal::{Cancel, ClientSpec, Ending, Event, Guest, Pulse, Runner, Seen, gdb, report};
use crate::{Result, blocking};

/// The names of the ports in a status.
const NAMES: [&str; 2] = ["rpmsg-tty", "rpmsg-tty1"];
/// How long the last output may take on its way to the reader before the end is reported without it.
const DRAIN_BOUND: Duration = Duration::from_secs(2);

/// How long a broker that was started in the place of a dead one is left alone: it may die as that one did.
const REVIVAL: Duration = Duration::from_secs(1);

/// What a later daemon needs to take a QEMU over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Saved {
    /// The process.
    pub(super) process: ProcessId,
    /// The ports, the console first. An earlier daemon had none, but QEMU itself wrote to the pty that a status tells.
    #[serde(default)]
    pub(super) ports: Vec<SavedPort>,
    /// Guest-physical address of the exit record, if the firmware has one.
    pub(super) exit_record: Option<u64>,
    /// The command line for gdb, if the client was created for debugging.
    pub(super) gdb: Option<String>,
    /// What the firmware was patched with.
    #[serde(default)]
    pub(super) patch: Option<Applied>,
}

/// What came of starting other brokers, each with the number of its port.
type Revivals = Vec<(usize, Result<Revival>)>;

/// One run of firmware.
#[derive(Debug)]
pub(super) struct QemuGuest {
    pub(super) emulator: Emulator,
    /// The machine's serial ports, the console first. None once given up.
    pub(super) ports: Vec<Port>,
    /// Whose the brokers of its ports are.
    pub(super) home: Home,
    pub(super) saved: Saved,
    /// [`Self::save`] gives something else than is written down.
    pub(super) unwritten: bool,
    /// Brokers that are being started in the place of dead ones.
    reviving: Option<JoinHandle<Revivals>>,
    /// Not before.
    revive_at: Instant,
    /// The number of its user, if it had waited for its firmware.
    pub(super) _lease: Option<Lease>,
    /// What was found out for [`Guest::pulse`].
    pub(super) vitals: Vitals,
}

impl QemuGuest {
    /// The run of the client's firmware in this QEMU.
    pub(super) fn new(
        emulator: Emulator,
        ports: Vec<Port>,
        image: &Image,
        home: Home,
        lease: Option<Lease>,
    ) -> Self {
        let spec = &home.spec;
        let debugger = || gdb::command(&spec.message.path, &gdb_socket(&spec.dir).display().to_string());
        let saved = Saved {
            process: emulator.process().id(),
            ports: ports.iter().map(Port::save).collect(),
            exit_record: image.info().exit_record,
            gdb: spec.message.debug.then(debugger),
            patch: None,
        };
        Self::of(emulator, ports, home, saved, lease)
    }

    /// The run that `saved` describes.
    pub(super) fn of(
        emulator: Emulator,
        ports: Vec<Port>,
        home: Home,
        saved: Saved,
        lease: Option<Lease>,
    ) -> Self {
        Self {
            emulator,
            ports,
            home,
            saved,
            unwritten: false,
            reviving: None,
            revive_at: Instant::now(),
            _lease: lease,
            vitals: Vitals::default(),
        }
    }

    /// Puts another broker in the place of each that is dead. May be cancelled and called again.
    async fn revive(&mut self) {
        let emulator = self.saved.process;
        if self.reviving.is_none() {
            let broken = self.ports.iter().enumerate().filter(|(_, port)| port.is_broken());
            let works: Vec<_> =
                broken.map(|(number, port)| (number, port.reviving(number, emulator, &self.home))).collect();
            let all = move || works.into_iter().map(|(number, revive)| (number, revive())).collect();
            self.reviving = Some(tokio::spawn(blocking::run(all)));
        }
        let Some(reviving) = &mut self.reviving else { return };
        let revived = reviving.await.unwrap_or_default();
        self.reviving = None;
        self.revive_at = Instant::now() + REVIVAL;
        let client = self.home.spec.name();
        for (number, revived) in revived {
            match (self.ports.get_mut(number), revived) {
                (Some(port), Ok(revival)) => {
                    log::warn!(client = client; "{client}: a console's broker was killed; another one goes on");
                    port.revived(revival);
                }
                (_, Ok(_)) => {}
                (_, Err(e)) => {
                    log::error!(client = client; "{client}: a console has no broker: {}", e.sentence());
                    self.ports.truncate(number);
                }
            }
        }
        self.saved.ports = self.ports.iter().map(Port::save).collect();
    }

    /// Lets the last output reach those who read, after QEMU's end.
    async fn drain(&self) {
        self.ports.iter().for_each(Port::run_is_over);
        let deadline = Instant::now() + DRAIN_BOUND;
        for port in &self.ports {
            if !port.drained(deadline.saturating_duration_since(Instant::now())).await {
                log::info!("{}: output waits for a reader", port.link().display());
            }
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
        let none = self.ports.is_empty().then(|| Service { name: NAMES[0].to_owned(), device: None });
        let services = NAMES
            .iter()
            .zip(&self.ports)
            .map(|(name, port)| Service { name: (*name).to_owned(), device: Some(port.link().to_owned()) });
        services.chain(none).collect()
    }

    fn doors(&self) -> Vec<Door> {
        NAMES.iter().zip(&self.ports).map(|(name, port)| port.door(name)).collect()
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
        if std::mem::take(&mut self.unwritten) {
            return Event::ServicesChanged;
        }
        self.ports.iter_mut().for_each(Port::keep);
        if self.reviving.is_none() {
            let broken = async {
                port::any_broken(&self.ports).await;
                sleep_until(self.revive_at).await;
            };
            tokio::select! {
                event = self.emulator.event() => return event,
                () = broken => {}
            }
        }
        self.revive().await;
        Event::ServicesChanged
    }

    async fn pulse(&mut self, watched: Watchdog) -> Pulse {
        let exit_record = self.saved.exit_record.filter(|_| watched.heartbeat.is_some());
        let mut pulse = self.vitals.pulse(&mut self.emulator, exit_record).await;
        if let Some(console) = self.ports.first().filter(|_| watched.console.is_some()) {
            pulse.console = console.shown().await;
        }
        pulse
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
        self.drain().await;
        Ok(())
    }

    async fn stop(&mut self) -> Result<ExitReport> {
        self.emulator.terminate().await?;
        self.drain().await;
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
        let ports = std::mem::take(&mut self.ports);
        blocking::run(|| ports.into_iter().for_each(Port::close)).await;
    }
}
