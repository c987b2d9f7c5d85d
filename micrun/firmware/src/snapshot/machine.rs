//! What makes a machine one that a saved state fits.

use serde::{Deserialize, Serialize};

use crate::client_conf::QemuSection;
use crate::{Error, Firmware, Pedestal, Result, Sha256Digest};

/// What a saved state fits: a machine of the same kind with the same firmware.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The pedestal.
    pub pedestal: String,
    /// The firmware's digest; empty until it is copied.
    pub firmware: String,
    /// The digest of what client.conf says of the hardware.
    pub hardware: String,
    /// Memory in MiB; 0 is what the machine has by itself.
    pub memory_mb: u32,
    /// Virtual CPUs.
    pub vcpus: u32,
}

impl Machine {
    /// That of a firmware which is not copied yet.
    pub fn new(firmware: &Firmware) -> Result<Self> {
        let settings = &firmware.settings;
        // The command line is no part of the machine.
        let conf = firmware.conf.as_ref().map(|conf| QemuSection { append: None, ..conf.qemu.clone() });
        let hardware = serde_json::to_vec(&conf.unwrap_or_default())
            .map_err(|error| Error::Unusable { path: "client.conf".into(), reason: error.to_string() })?;
        Ok(Self {
            pedestal: settings.pedestal.value.as_str().to_owned(),
            firmware: String::new(),
            hardware: Sha256Digest::of(&hardware).to_string(),
            memory_mb: settings.memory_mb.value,
            vcpus: settings.vcpu.value,
        })
    }

    /// Whether the firmware runs in a process of ours.
    pub fn is_emulated(&self) -> bool {
        self.pedestal == Pedestal::Qemu.as_str()
    }
}
