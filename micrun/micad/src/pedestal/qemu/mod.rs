//! The qemu pedestal: one confined QEMU process per client.
//!
//! QEMU is not tied to the daemon's life. It writes to ptys that brokers read ([`port`]), listens for QMP on a
//! socket in the client's directory ([`qmp`]), and stays paused when the firmware has powered off until a
//! daemon has read the exit status out of its memory ([`exit_record`]).

mod accelerator;
mod adopt;
mod command_line;
mod cpus;
mod diagnosis;
mod emulator;
mod ending;
mod exit_record;
mod guest;
mod image;
mod inbox;
mod launch;
mod machine;
mod migration;
mod patch;
mod pending;
mod pool;
mod port;
mod postmortem;
mod processor;
mod pulse;
mod qmp;
mod ram;
mod registers;
mod second_core;
mod start;
mod stub;
mod transfer;
mod turns;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use libmica::{CreateMessage, Launch};
use micrun_firmware::client_conf::QemuSection;

use self::pool::Pool;
use self::port::Home;
use self::turns::Turns;
use super::{Cancel, ClientSpec, Guest, Pedestal, Rings, Tenants, firmware_exists};
use crate::live::Live;
use crate::{Error, Result, conf};

/// Name in the create message.
pub(crate) const NAME: &str = "qemu";

/// The qemu pedestal.
pub(super) struct Qemu {
    /// Directory of the emulators.
    bin_dir: PathBuf,
    tenants: Tenants,
    turns: Turns,
    /// What the host allows, and which CPUs are for firmware without CPUs of its own.
    config: Live,
    /// Machines that wait for a firmware.
    pool: Arc<Pool>,
}

impl Qemu {
    /// The pedestal as `config` has it.
    pub(super) fn new(live: &Live, tenants: Tenants) -> Self {
        let (turns, config) = (Turns::new(), live.get());
        Self {
            bin_dir: config.qemu_path.clone(),
            pool: Arc::new(Pool::new(&config, tenants.clone(), turns.clone())),
            tenants,
            turns,
            config: live.clone(),
        }
    }

    /// Whose the ports of this client's machine are.
    fn home(&self, spec: &ClientSpec) -> Home {
        let rings = Rings::of(&self.config.get());
        Home { spec: spec.clone(), tenant: self.tenants.of(spec), rings }
    }

    /// Machines that wait for a firmware.
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

#[async_trait]
impl Pedestal for Qemu {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, message: &CreateMessage) -> Result<()> {
        firmware_exists(&message.path)
    }

    fn read_conf(&self, message: &CreateMessage) -> Result<QemuSection> {
        let path = &message.pedestal_conf;
        if path.as_os_str().is_empty() { Ok(QemuSection::default()) } else { Ok(conf::parse(path)?.qemu) }
    }

    async fn start(&self, spec: &ClientSpec, launch: Launch, cancel: Cancel<'_>) -> Result<Box<dyn Guest>> {
        Ok(Box::new(start::start(self, spec, launch, cancel).await?))
    }

    async fn adopt(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Result<Box<dyn Guest>> {
        Ok(Box::new(adopt::adopt(self, spec, saved).await?))
    }

    async fn adopt_ended(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Option<Box<dyn Guest>> {
        Some(Box::new(adopt::adopt_ended(self, spec, saved).await?))
    }

    async fn sweep(&self, spec: &ClientSpec) {
        if adopt::sweep(&spec.dir).await {
            log::warn!(client = spec.name(); "{}: ended a QEMU that an earlier daemon left", spec.name());
        }
    }

    fn tells_rest(&self) -> bool {
        true
    }

    fn set(&self, _: &ClientSpec, key: &str, _: &str) -> Result<()> {
        Err(Error::SetUnsupported { pedestal: NAME, key: key.to_owned() })
    }
}

/// Where a QEMU with this directory listens for QMP.
fn qmp_socket(dir: &Path) -> PathBuf {
    dir.join("qmp.sock")
}

/// Where it listens for gdb, if it does.
fn gdb_socket(dir: &Path) -> PathBuf {
    dir.join("gdb.sock")
}

/// Where it writes what it has to say.
fn log_file(dir: &Path) -> PathBuf {
    dir.join("qemu.log")
}

/// Where its process is written down, for a daemon that finds it.
fn record(dir: &Path) -> PathBuf {
    dir.join("process.json")
}
