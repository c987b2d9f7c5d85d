//! From the keys of a section to its typed fields.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::ini::Sections;
use super::value;
use super::{MAX_APPEND, MAX_NAME, MAX_PATH, MicaSection, QemuSection};
use crate::{Error, Result};

/// A section being read: each getter takes its key out, what stays is unknown.
pub(super) struct Section<'a> {
    name: &'static str,
    keys: Option<&'a mut BTreeMap<String, String>>,
}

impl<'a> Section<'a> {
    pub(super) fn take(sections: &'a mut Sections, name: &'static str) -> Self {
        Self { name, keys: sections.get_mut(&name.to_lowercase()) }
    }

    /// The value of `key` as `read` makes it; an empty one is absent.
    fn get<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>> {
        let value = self.keys.as_mut().and_then(|keys| keys.remove(&key.to_lowercase()));
        match value {
            Some(text) if !text.is_empty() => read(&text).map(Some).map_err(|reason| Error::ConfValue {
                section: self.name,
                key: key.into(),
                reason,
            }),
            _ => Ok(None),
        }
    }

    fn text(&mut self, key: &str, limit: usize) -> Result<Option<String>> {
        self.get(key, |text| value::text(text, limit))
    }

    fn parsed<T: FromStr<Err = String>>(&mut self, key: &str) -> Result<Option<T>> {
        self.get(key, T::from_str)
    }

    fn flag(&mut self, key: &str) -> Result<Option<bool>> {
        self.get(key, value::yes_or_no)
    }

    /// A number from `least` to `most`; -1 is upstream's "not set".
    fn number(&mut self, key: &str, least: u32, most: u32) -> Result<Option<u32>> {
        Ok(self.get(key, |text| value::number(text, least, most))?.flatten())
    }
}

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

    /// The limits are those of the create message's fields, less the NUL that ends each.
    pub(super) fn read(section: &mut Section<'_>) -> Result<Self> {
        Ok(Self {
            name: section.get("Name", |text| value::name(text, MAX_NAME))?,
            client_path: section.text("ClientPath", MAX_PATH)?,
            pedestal: section.parsed("Pedestal")?,
            pedestal_conf: section.text("PedestalConf", MAX_PATH)?,
            cpu: section.text("CPU", 127)?,
            vcpu: section.number("VCPU", 1, MOST)?,
            max_vcpu: section.number("MaxVCPU", 1, MOST)?,
            cpu_weight: section.number("CPUWeight", 1, 65_535)?,
            cpu_capacity: section.number("CPUCapacity", 0, MOST)?,
            memory: section.number("Memory", 1, MOST)?,
            max_memory: section.number("MaxMemory", 1, MOST)?,
            iomem: section.text("IOMem", 511)?,
            network: section.text("Network", 511)?,
            debug: section.flag("Debug")?,
            auto_boot: section.flag("AutoBoot")?,
        })
    }
}

impl QemuSection {
    pub(super) const KEYS: &'static [&'static str] = &["Machine", "CPU", "Memory", "Consoles", "Append"];

    pub(super) fn read(section: &mut Section<'_>) -> Result<Self> {
        Ok(Self {
            machine: section.parsed("Machine")?,
            cpu: section.parsed("CPU")?,
            memory: section.number("Memory", 1, MOST)?,
            consoles: section.number("Consoles", 1, 2)?,
            append: section.text("Append", MAX_APPEND)?,
        })
    }
}
