//! Pedestals: what firmware runs on. One folder each.

mod baremetal;
pub(crate) mod broker;
mod console;
mod core_file;
mod ending;
mod firmware_file;
mod gdb;
mod numbers;
mod patch;
mod process;
pub(crate) mod processor;
mod qemu;
pub(crate) mod registers;
mod runner;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libmica::ext::{ExitReport, PatchReport, WaitingMachines};
use libmica::{ClientState, CreateMessage, Launch, Service};
use micrun_firmware::Watchdog;
use micrun_firmware::client_conf::QemuSection;

pub(crate) use baremetal::diagnosis::QUOTES;
pub(crate) use baremetal::{NAME as BAREMETAL, kernel_log, sysfs};
pub(crate) use broker::{Door, Rings};
pub(crate) use ending::{Ending, KILLED, now, report};
pub(crate) use numbers::Numbers;
pub(crate) use patch::Marker;
pub(crate) use process::{ProcessId, Usage, boot_usec};
pub(crate) use qemu::NAME as QEMU;
pub(crate) use runner::Runner;

use crate::config::Config;
use crate::error::is_there;
use crate::jail::{Roots, Tenant};
use crate::live::Live;
use crate::{Error, Result};

/// The pedestals of this daemon.
pub(crate) const NAMES: [&str; 2] = [baremetal::NAME, qemu::NAME];

/// Offset in an exit record of the heartbeat: the word that firmware changes to show that it lives (docs/FIRMWARE.md).
const HEARTBEAT: u64 = 12;

/// Comes true when what is being done is not wanted any more: the client is to be stopped, removed or left alone.
pub(crate) type Cancel<'a> = Pin<&'a mut (dyn Future<Output = ()> + Send)>;

/// A client as it was created. Its files may change later; this does not.
#[derive(Debug, Clone)]
pub(crate) struct ClientSpec {
    /// What the client was created with.
    pub(crate) message: CreateMessage,
    /// What its conf file said of its machine then; empty for a pedestal that reads none.
    pub(crate) qemu: QemuSection,
    /// A number that no other client has, nor had lately.
    pub(crate) slot: u32,
    /// The client's private directory.
    pub(crate) dir: PathBuf,
    /// Where the link to the console belongs.
    pub(crate) tty_link: PathBuf,
    /// Where the link to the second console belongs, if the client has one that its pedestal makes.
    pub(crate) shell_link: Option<PathBuf>,
}

impl ClientSpec {
    /// The client's name.
    pub(crate) fn name(&self) -> &str {
        &self.message.name
    }
}

/// A way to run firmware.
#[async_trait]
pub(crate) trait Pedestal: Send + Sync {
    /// Name in the create message.
    fn name(&self) -> &'static str;

    /// Checks at creation what can be checked without starting.
    fn check(&self, message: &CreateMessage) -> Result<()>;

    /// Reads what the client's conf file says of its machine. Asked once, at creation.
    fn read_conf(&self, message: &CreateMessage) -> Result<QemuSection> {
        let _ = message;
        Ok(QemuSection::default())
    }

    /// Boots the client's firmware, or lets it go on from a snapshot, whose reading `cancel` ends. On an error nothing is
    /// left behind.
    async fn start(&self, spec: &ClientSpec, launch: Launch, cancel: Cancel<'_>) -> Result<Box<dyn Guest>>;

    /// Takes over firmware that an earlier daemon started; `saved` is its [`Guest::save`].
    async fn adopt(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Result<Box<dyn Guest>>;

    /// Takes over the consoles of a run that has ended, where they outlive the daemon; `saved` as above.
    async fn adopt_ended(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Option<Box<dyn Guest>> {
        let _ = (spec, saved);
        None
    }

    /// Ends what an earlier daemon may have started for the client but not written down.
    async fn sweep(&self, spec: &ClientSpec);

    /// Whether firmware has a machine of its own: [`Guest::pulse`] tells how busy that is, and it has a power button.
    fn is_machine(&self) -> bool {
        false
    }

    /// Changes a resource of the client.
    fn set(&self, spec: &ClientSpec, key: &str, value: &str) -> Result<()>;
}

/// Firmware that runs, or has run and whose console can still be read.
///
/// Dropping it neither ends the firmware nor removes a file: the daemon's end must not be the firmware's.
#[async_trait]
pub(crate) trait Guest: Send + Sync {
    /// What runs the firmware.
    fn runner(&self) -> Runner;

    /// What runs the firmware, in words, if it is no process.
    fn place(&self) -> Option<String> {
        None
    }

    /// [`ClientState::Running`] or [`ClientState::Suspended`].
    fn state(&self) -> ClientState;

    /// The terminals that can be read, the console first.
    fn services(&self) -> Vec<Service>;

    /// The ways to the streams that can be attached to, the console first.
    fn doors(&self) -> Vec<Door>;

    /// What [`Pedestal::adopt`] needs. It has been written down when [`Self::event`] is called the next time.
    fn save(&self) -> serde_json::Value;

    /// The command line for a debugger, if the client was created for it.
    fn gdb(&self) -> Option<String>;

    /// Says what the firmware, whose ELF is in the file `firmware`, is doing: a sentence about it without its subject's
    /// name. It runs on meanwhile.
    async fn diagnose(&mut self, firmware: &Path) -> String;

    /// Waits until something happens that nobody asked for. May be cancelled and called again.
    async fn event(&mut self) -> Event;

    /// A look at what tells that the firmware lives, as far as it is `watched`.
    async fn pulse(&mut self, watched: Watchdog) -> Pulse;

    /// How a run that has ended by itself has ended. What it leaves can be looked at until [`Self::reap`].
    async fn verdict(&mut self, ending: Ending) -> ExitReport;

    /// The registers of firmware that stands still, or has ended and was not reaped yet; `None` if nothing tells them.
    async fn registers(&mut self) -> Option<Seen>;

    /// Writes memory and registers of such firmware, whose ELF is in the file `firmware`, to an empty file: an ELF core of
    /// at most so many bytes.
    async fn dump(&mut self, firmware: &Path, to: File, most: u64) -> Result<()>;

    /// Cleans up after [`Event::Ended`].
    async fn reap(&mut self, ending: Ending) -> Result<()>;

    /// Ends the firmware. It is gone when this returns.
    async fn stop(&mut self) -> Result<ExitReport>;

    /// Presses the machine's power button.
    async fn press_power_button(&mut self) -> Result<()> {
        Err(Error::StopCommand { problem: "it has no power button".to_owned() })
    }

    /// Freezes the firmware.
    async fn pause(&mut self) -> Result<()>;

    /// Lets frozen firmware go on.
    async fn resume(&mut self) -> Result<()>;

    /// Writes the state of the machine, from which [`Pedestal::start`] can go on, unless `cancel` ends that. The machine
    /// is as before then.
    async fn checkpoint(&mut self, to: OwnedFd, cancel: Cancel<'_>) -> Result<()>;

    /// Has the memory of the running firmware be what another one, in a sealed memory file, loads. On an error it is as
    /// before, unless that is [`Error::HalfPatched`]. Sets the [`Marker`] of `spec` before the firmware is held.
    async fn patch(&mut self, firmware: OwnedFd, spec: &ClientSpec) -> Result<PatchReport>;

    /// The digest of the firmware that this run was patched to, as OCI writes it.
    fn patched(&self) -> Option<String>;

    /// Gives the console up: what has not been read of it is lost.
    async fn release(&mut self);
}

/// The registers of the first processor that matter for its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its program counter.
    pub(crate) pc: u64,
    /// Where its last exception came from, if it keeps that.
    pub(crate) trap: Option<u64>,
    /// All registers of all processors, in the words of whatever has told them.
    pub(crate) text: String,
}

/// What tells that firmware lives. Each part is absent where nothing tells it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pulse {
    /// The word that it changes to show that it lives.
    pub(crate) heartbeat: Option<u32>,
    /// CPU time of its first processor, and time in which that waited for a CPU of the host.
    pub(crate) processor: Option<(Duration, Duration)>,
    /// Bytes that its console has shown in this run; the daemon has it from the ring.
    pub(crate) console: Option<u64>,
}

/// What can happen to firmware that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It ended.
    Ended(Ending),
    /// [`Guest::state`] is another: a debugger froze it, or a command that seemed to fail came through late.
    StateChanged,
    /// [`Guest::services`] and [`Guest::save`] are others: the firmware has announced a terminal.
    ServicesChanged,
}

/// The users of the clients' processes.
#[derive(Debug, Clone)]
struct Tenants {
    /// The first client's.
    first: Tenant,
    /// Whether the daemon is root, and can change users at all.
    root: bool,
}

impl Tenants {
    fn new(config: &Config) -> Self {
        let root = nix::unistd::geteuid().is_root();
        if !root {
            log::warn!(
                "micad does not run as root: QEMU gets no user, no namespaces and no root of its own, only limits and a filter for system calls; for development only"
            );
        }
        let roots = Arc::new(Roots::new(config.runtime_dir.clone()));
        Self { first: Tenant { uid: config.qemu_uid_base, roots }, root }
    }

    /// Who the client's processes are; `None` if they cannot be anybody but the daemon.
    fn of(&self, spec: &ClientSpec) -> Option<Tenant> {
        self.numbered(spec.slot)
    }

    /// The same of whatever has this number.
    fn numbered(&self, number: u32) -> Option<Tenant> {
        let Tenant { uid, roots } = self.first.clone();
        self.root.then(|| Tenant { uid: uid.saturating_add(number), roots })
    }
}

/// The pedestals that `config` describes, chosen by the name in a create message.
pub(crate) struct Pedestals {
    baremetal: Arc<baremetal::BareMetal>,
    qemu: Arc<qemu::Qemu>,
    config: Live,
}

impl Pedestals {
    /// All pedestals of this daemon.
    pub(crate) fn new(config: &Live) -> Self {
        let tenants = Tenants::new(&config.get());
        Self {
            baremetal: Arc::new(baremetal::BareMetal::new(config, tenants.clone())),
            qemu: Arc::new(qemu::Qemu::new(config, tenants)),
            config: config.clone(),
        }
    }

    /// Has machines wait as the configuration says now.
    pub(crate) fn reload(&self) {
        self.qemu.pool().resize(&self.config.get());
    }

    /// Ends what an earlier daemon has left of the machines that wait for a firmware, and keeps some waiting from now on.
    pub(crate) async fn open(&self) {
        self.qemu.pool().open().await;
    }

    /// Ends the machines that wait for a firmware.
    pub(crate) async fn close(&self) {
        self.qemu.pool().close().await;
    }

    /// How many machines wait; `None` if none ever does.
    pub(crate) fn waiting(&self) -> Option<WaitingMachines> {
        self.qemu.pool().report()
    }

    /// The pedestal of that name; for a client that names none, the configured one, else `baremetal` if there
    /// is a remoteproc to be had, else `qemu`. A name is found whether it is allowed or not: firmware may run there.
    pub(crate) fn find(&self, asked: &str) -> Result<Arc<dyn Pedestal>> {
        let config = self.config.get();
        // Whether a client that names no pedestal may get a core.
        let allows_cores = config.policy.pedestals.value.allows(baremetal::NAME);
        match Some(asked).filter(|name| !name.is_empty()).or(config.default_pedestal.as_deref()) {
            Some(baremetal::NAME) => Ok(Arc::clone(&self.baremetal) as _),
            Some(qemu::NAME) => Ok(Arc::clone(&self.qemu) as _),
            Some(other) => Err(Error::UnknownPedestal { asked: other.to_owned(), known: NAMES.join(", ") }),
            None if allows_cores && self.baremetal.is_usable() => Ok(Arc::clone(&self.baremetal) as _),
            None => Ok(Arc::clone(&self.qemu) as _),
        }
    }
}

/// Fails with upstream's words unless the firmware at `path` exists.
fn firmware_exists(path: &Path) -> Result<()> {
    if is_there(path)? { Ok(()) } else { Err(Error::NoSuchFile(path.to_owned())) }
}
