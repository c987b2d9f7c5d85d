//! From the keys of a section to its typed fields.

use std::str::FromStr;

use libmica::names;

use super::value;
use super::{MAX_APPEND, MicaSection, QemuSection};
use crate::ini::{Fault, Section};

/// The largest number the create message carries (mica-protocol 1.2).
const MOST: u32 = i32::MAX as u32;

impl MicaSection {
    pub(super) const KEYS: &'static [&'static str] = &[
        "Name",
        "ClientPath",
        "Pedestal",
        "PedestalConf",
        "CPU",
        "VCPU",
        "MaxVCPU",
        "CPUWeight",
        "CPUCapacity",
        "Memory",
        "MaxMemory",
        "IOMem",
        "Network",
        "Debug",
        "AutoBoot",
    ];

    /// The limits of texts are those of the create message's fields.
    pub(super) fn read(section: &mut Section) -> Result<Self, Fault> {
        Ok(Self {
            name: section.get("Name", value::name)?,
            client_path: text(section, "ClientPath", names::PATH_MAX)?,
            pedestal: section.get("Pedestal", FromStr::from_str)?,
            pedestal_conf: text(section, "PedestalConf", names::PEDESTAL_CONF_MAX)?,
            cpu: text(section, "CPU", names::CPU_MAX)?,
            vcpu: number(section, "VCPU", 1, MOST)?,
            max_vcpu: number(section, "MaxVCPU", 1, MOST)?,
            cpu_weight: number(section, "CPUWeight", 1, 65_535)?,
            cpu_capacity: number(section, "CPUCapacity", 0, MOST)?,
            memory: number(section, "Memory", 1, MOST)?,
            max_memory: number(section, "MaxMemory", 1, MOST)?,
            iomem: text(section, "IOMem", names::IOMEM_MAX)?,
            network: text(section, "Network", names::NETWORK_MAX)?,
            debug: section.get("Debug", value::yes_or_no)?,
            auto_boot: section.get("AutoBoot", value::yes_or_no)?,
        })
    }
}

impl QemuSection {
    pub(super) const KEYS: &'static [&'static str] =
        &["Machine", "CPU", "Memory", "Bios", "Devices", "Consoles", "ConsolePort", "Append"];

    pub(super) fn read(section: &mut Section) -> Result<Self, Fault> {
        Ok(Self {
            machine: section.get("Machine", FromStr::from_str)?,
            cpu: section.get("CPU", FromStr::from_str)?,
            memory: number(section, "Memory", 1, MOST)?,
            bios: section.get("Bios", FromStr::from_str)?,
            devices: section.get("Devices", FromStr::from_str)?,
            consoles: number(section, "Consoles", 1, 2)?,
            console_port: number(section, "ConsolePort", 1, 2)?,
            append: text(section, "Append", MAX_APPEND)?,
        })
    }
}

fn text(section: &mut Section, key: &'static str, limit: usize) -> Result<Option<String>, Fault> {
    section.get(key, |text| value::text(text, limit))
}

/// A number from `least` to `most`; -1 is upstream's "not set".
fn number(section: &mut Section, key: &'static str, least: u32, most: u32) -> Result<Option<u32>, Fault> {
    Ok(section.get(key, |text| value::number(text, least, most))?.flatten())
}
