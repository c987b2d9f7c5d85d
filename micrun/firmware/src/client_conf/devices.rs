//! `[Qemu]` `Devices`: what a machine gets besides its own. Only what sees nothing of the host is in the list.

use std::fmt;
use std::str::FromStr;

use crate::text::{hint, quoted, serde_as_text};

/// A device that an image may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Device {
    /// Random numbers, of QEMU's own making.
    Rng,
    /// A network interface without a network: its link is down.
    Net,
}

/// Devices, each once, in the order they were written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Devices(Vec<Device>);

impl Device {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Rng, Self::Net];

    /// QEMU's name of it, on the virtio-mmio transport that every `virt` has.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rng => "virtio-rng-device",
            Self::Net => "virtio-net-device",
        }
    }
}

impl Devices {
    /// The devices.
    pub fn all(&self) -> &[Device] {
        &self.0
    }
}

impl FromStr for Devices {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut devices = Vec::new();
        for name in text.split(',').map(str::trim) {
            let known = Device::ALL.map(Device::as_str);
            let device = Device::ALL.into_iter().find(|device| device.as_str() == name).ok_or_else(|| {
                let hint = hint(name, known);
                format!("the device {} is not allowed (allowed: {}){hint}", quoted(name), known.join(", "))
            })?;
            if devices.contains(&device) {
                return Err(format!("the device {name} is named twice"));
            }
            devices.push(device);
        }
        Ok(Self(devices))
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|device| device.as_str()).collect();
        f.write_str(&names.join(","))
    }
}

serde_as_text!(Devices);
