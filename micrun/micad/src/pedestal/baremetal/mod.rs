//! The baremetal pedestal: firmware on a processor core of its own, by Linux' remoteproc framework.
//!
//! Everything goes through sysfs and the devices that the kernel makes for a remoteproc, so any driver will do:
//! those of boards, and ours for a spare core ([`sysfs`] says what ours adds). The firmware's terminals and trace buffers
//! reach their readers through brokers and ptys ([`line`]).

mod adopt;
mod choice;
mod core;
pub(crate) mod diagnosis;
mod endpoint;
mod firmware;
mod guest;
mod introduction;
pub(crate) mod kernel_log;
mod line;
mod lines;
mod memory;
mod note;
mod patch;
mod postmortem;
mod processor;
mod revive;
mod settings;
mod start;
pub(crate) mod sysfs;
mod texts;
mod traces;
mod watch;

use std::path::PathBuf;

use async_trait::async_trait;
use libmica::{CreateMessage, Launch};

use self::choice::Claims;
use self::firmware::FirmwareDir;
use self::line::Owner;
use self::sysfs::System;
use super::{Cancel, ClientSpec, Guest, Pedestal, Rings, Tenants, firmware_exists};
use crate::live::Live;
use crate::{Error, Result, blocking};

/// Name in the create message.
pub(crate) const NAME: &str = "baremetal";

/// The baremetal pedestal.
#[derive(Clone)]
pub(super) struct BareMetal {
    system: System,
    /// Where firmware goes, if not where the kernel looks by itself.
    firmware_dir: Option<PathBuf>,
    /// Where the daemon's sockets are.
    runtime_dir: PathBuf,
    tenants: Tenants,
    claims: Claims,
    /// What the host allows.
    config: Live,
}

impl BareMetal {
    /// The pedestal as `config` has it.
    pub(super) fn new(live: &Live, tenants: Tenants) -> Self {
        let config = live.get();
        let pedestal = Self {
            system: System::new(&config.sysfs_root),
            firmware_dir: config.firmware_dir.clone(),
            runtime_dir: config.runtime_dir.clone(),
            tenants,
            claims: Claims::default(),
            config: live.clone(),
        };
        // A machine without remoteproc is none of our business.
        if pedestal.system.remoteprocs().is_ok_and(|all| !all.is_empty()) {
            match FirmwareDir::find(&pedestal.system, pedestal.firmware_dir.as_deref()) {
                Ok(dir) => dir.sweep(),
                Err(e) => log::error!("{}", e.sentence()),
            }
        }
        pedestal
    }

    /// Whose the terminals of this client are.
    fn owner(&self, spec: &ClientSpec) -> Owner {
        let config = self.config.get();
        let (rings, channels) = (Rings::of(&config), config.channels.clone());
        Owner { spec: spec.clone(), tenant: self.tenants.of(spec), rings, channels }
    }

    /// Whether a client could be started here now.
    pub(super) fn is_usable(&self) -> bool {
        choice::any_free(&self.system, &self.claims, &self.config.get().policy.remoteprocs)
    }
}

#[async_trait]
impl Pedestal for BareMetal {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, message: &CreateMessage) -> Result<()> {
        firmware_exists(&message.path)?;
        choice::check(&self.system, &self.claims, &self.config.get().policy.remoteprocs, &message.cpu)
    }

    /// A core is in no cgroup.
    async fn start(&self, spec: &ClientSpec, launch: Launch, _: Cancel<'_>) -> Result<Box<dyn Guest>> {
        if launch.snapshot.is_some() {
            return Err(Error::CheckpointUnsupported { pedestal: NAME });
        }
        Ok(Box::new(start::start(self, spec).await?))
    }

    async fn adopt(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Result<Box<dyn Guest>> {
        let (pedestal, spec, saved) = (self.clone(), spec.clone(), saved.clone());
        Ok(Box::new(blocking::run(move || adopt::adopt(&pedestal, &spec, &saved)).await?))
    }

    async fn adopt_ended(&self, spec: &ClientSpec, saved: &serde_json::Value) -> Option<Box<dyn Guest>> {
        let (pedestal, spec, saved) = (self.clone(), spec.clone(), saved.clone());
        let name = spec.name().to_owned();
        match blocking::run(move || adopt::adopt_ended(&pedestal, &spec, &saved)).await {
            Ok(guest) => Some(Box::new(guest?)),
            Err(e) => {
                log::warn!(client = name.as_str(); "{name}: {}", e.sentence());
                None
            }
        }
    }

    async fn sweep(&self, spec: &ClientSpec) {
        let (pedestal, spec) = (self.clone(), spec.clone());
        blocking::run(move || adopt::sweep(&pedestal, &spec)).await;
    }

    fn set(&self, _: &ClientSpec, key: &str, _: &str) -> Result<()> {
        Err(Error::SetUnsupported { pedestal: NAME, key: key.to_owned() })
    }
}
