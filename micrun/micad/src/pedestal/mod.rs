//! Pedestals: what firmware runs on. One folder each.

mod process;
mod qemu;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use libmica::ext::{ExitReason, ExitReport};
use libmica::{ClientState, CreateMessage};

pub(crate) use process::{ProcessId, Usage};

use crate::config::Config;
use crate::{Error, Result};

/// The pedestals of this daemon.
pub(crate) const NAMES: [&str; 1] = [qemu::NAME];

/// A client as its pedestal sees it.
#[derive(Debug)]
pub(crate) struct ClientSpec {
    /// What the client was created with.
    pub(crate) message: CreateMessage,
    /// A number that no other client has: the lowest that was free.
    pub(crate) slot: u32,
    /// The client's private directory.
    pub(crate) dir: PathBuf,
    /// Where the link to the console belongs.
    pub(crate) tty_link: PathBuf,
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

    /// Boots the client's firmware. On an error nothing is left behind.
    async fn start(&self, spec: &ClientSpec) -> Result<Box<dyn Guest>>;

    /// Takes over firmware that an earlier daemon started; `saved` is its [`Guest::save`].
    async fn adopt(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Result<Box<dyn Guest>>;

    /// Ends what an earlier daemon may have started for the client but not written down.
    async fn sweep(&self, spec: &ClientSpec);

    /// Changes a resource of the client.
    fn set(&self, spec: &ClientSpec, key: &str, value: &str) -> Result<()>;
}

/// Firmware that runs, or has run and whose console can still be read.
///
/// Dropping it neither ends the firmware nor removes a file: the daemon's end must not be the firmware's.
#[async_trait]
pub(crate) trait Guest: Send {
    /// The host process that runs the firmware.
    fn process(&self) -> ProcessId;

    /// [`ClientState::Running`] or [`ClientState::Suspended`].
    fn state(&self) -> ClientState;

    /// What [`Pedestal::adopt`] needs.
    fn save(&self) -> serde_json::Value;

    /// The command line for a debugger, if the client was created for it.
    fn gdb(&self) -> Option<String>;

    /// Waits until something happens that nobody asked for. May be cancelled and called again.
    async fn event(&mut self) -> Event;

    /// Cleans up after [`Event::Ended`] and says how the run ended.
    async fn reap(&mut self, ending: Ending) -> Result<ExitReport>;

    /// Ends the firmware. It is gone when this returns.
    async fn stop(&mut self) -> Result<ExitReport>;

    /// Freezes the firmware.
    async fn pause(&mut self) -> Result<()>;

    /// Lets frozen firmware go on.
    async fn resume(&mut self) -> Result<()>;

    /// Gives the console up: what has not been read of it is lost.
    fn release(&mut self);
}

/// What can happen to firmware that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It ended.
    Ended(Ending),
    /// [`Guest::state`] is another: a debugger froze it, or a command that seemed to fail came through late.
    StateChanged,
}

/// How firmware ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It powered the machine off.
    PoweredOff,
    /// It asked for a reset.
    Reset,
    /// The machine reported a panic.
    Panicked,
    /// The process that runs it was asked to end by a signal that is not ours.
    Signalled,
    /// The process that runs it has ended.
    Died,
}

/// The pedestals that `config` describes, chosen by the name in a create message.
pub(crate) struct Pedestals {
    qemu: Arc<dyn Pedestal>,
    default: String,
}

impl Pedestals {
    /// All pedestals of this daemon.
    pub(crate) fn new(config: &Config) -> Self {
        Self { qemu: Arc::new(qemu::Qemu::new(config)), default: config.default_pedestal.clone() }
    }

    /// The pedestal of that name. Upstream sends nothing or `baremetal` for bare metal, which a daemon
    /// without that pedestal may replace by its default.
    pub(crate) fn find(&self, asked: &str) -> Result<Arc<dyn Pedestal>> {
        let wanted = if matches!(asked, "" | "baremetal") { self.default.as_str() } else { asked };
        if wanted == self.qemu.name() {
            return Ok(Arc::clone(&self.qemu));
        }
        Err(Error::UnknownPedestal { asked: asked.to_owned(), known: NAMES[0] })
    }
}

/// A report of what ended now.
pub(crate) fn report(status: u8, reason: ExitReason, detail: impl Into<String>) -> ExitReport {
    let exited_at = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
    ExitReport { status, reason, detail: detail.into(), exited_at }
}

/// Fails with upstream's words unless the firmware at `path` exists.
fn firmware_exists(path: &Path) -> Result<()> {
    if path.exists() { Ok(()) } else { Err(Error::NoSuchFile(path.to_owned())) }
}
