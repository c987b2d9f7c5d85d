//! `[Qemu]` `Machine` and `CPU`. Their text becomes an argument of QEMU, which reads commas as the start of
//! further options; so only a name, and of a machine a few options that change nothing but the guest's
//! view, pass.

use std::fmt;
use std::str::FromStr;

use crate::text::{hint, quoted, serde_as_text};

/// QEMU's machine without a board to imitate: the one of which it is known where memory and devices are,
/// and the default.
const VIRT: &str = "virt";

/// A QEMU machine with its options, as `-machine` takes it: `virt`, `virt,gic-version=3`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    name: String,
    options: Vec<(MachineOption, String)>,
}

/// A QEMU CPU model, as `-cpu` takes it, without features: `cortex-a53`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpu(String);

/// The machine options that an image may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MachineOption {
    /// `gic-version`: 2, 3, 4, max.
    GicVersion,
    /// `virtualization`: EL2 for the guest.
    Virtualization,
    /// `secure`: EL3 and secure memory for the guest.
    Secure,
    /// `highmem`: devices above 4 GiB.
    Highmem,
    /// `its`: the interrupt translation service.
    Its,
    /// `mte`: the memory tagging extension.
    Mte,
}

impl MachineOption {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::GicVersion, Self::Virtualization, Self::Secure, Self::Highmem, Self::Its, Self::Mte];

    /// QEMU's name of the option.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::GicVersion => "gic-version",
            Self::Virtualization => "virtualization",
            Self::Secure => "secure",
            Self::Highmem => "highmem",
            Self::Its => "its",
            Self::Mte => "mte",
        }
    }

    fn accepts(self, value: &str) -> bool {
        match self {
            Self::GicVersion => matches!(value, "2" | "3" | "4" | "max"),
            _ => matches!(value, "on" | "off"),
        }
    }

    fn values(self) -> &'static str {
        if self == Self::GicVersion { "2, 3, 4 or max" } else { "on or off" }
    }
}

impl Machine {
    /// The machine's name, without options.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is QEMU's `virt`, of this or an earlier version (`virt-9.2`); every other machine is a board.
    pub fn is_virt(&self) -> bool {
        self.name.strip_prefix(VIRT).is_some_and(|rest| {
            let version = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            rest.is_empty() || rest.strip_prefix('-').is_some_and(version)
        })
    }

    /// With `option` set to `value` unless it is set.
    #[must_use]
    pub fn with_default(mut self, option: MachineOption, value: &str) -> Self {
        if self.options.iter().all(|(other, _)| *other != option) {
            self.options.push((option, value.to_owned()));
        }
        self
    }

    /// The options, in the order they were written.
    pub fn options(&self) -> &[(MachineOption, String)] {
        &self.options
    }
}

/// `virt` without options.
impl Default for Machine {
    fn default() -> Self {
        Self { name: VIRT.to_owned(), options: Vec::new() }
    }
}

impl Cpu {
    /// The CPU model.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// QEMU's names of machines and CPUs: letters, digits, `-`, `_`, `.`. `help` is a command to QEMU.
fn name(text: &str, what: &str) -> Result<String, String> {
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if clean && text.len() <= 64 && text != "help" {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not a name of a QEMU {what}; use letters, digits, - _ and .", quoted(text)))
    }
}

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let mut machine =
            Self { name: name(parts.next().unwrap_or_default(), "machine")?, options: Vec::new() };
        for part in parts {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("the machine option {} is not NAME=VALUE", quoted(part)))?;
            let known = MachineOption::ALL.map(MachineOption::as_str);
            let option = MachineOption::ALL.into_iter().find(|o| o.as_str() == key).ok_or_else(|| {
                let hint = hint(key, known);
                format!(
                    "the machine option {} is not allowed (allowed: {}){hint}",
                    quoted(key),
                    known.join(", ")
                )
            })?;
            if !option.accepts(value) {
                return Err(format!("{key}={} is not allowed; write {}", quoted(value), option.values()));
            }
            if machine.options.iter().any(|(other, _)| *other == option) {
                return Err(format!("the machine option {key} is set twice"));
            }
            machine.options.push((option, value.to_owned()));
        }
        Ok(machine)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.options.iter().try_for_each(|(option, value)| write!(f, ",{}={value}", option.as_str()))
    }
}

impl FromStr for Cpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        name(text, "CPU").map(Self)
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

serde_as_text!(Machine);
serde_as_text!(Cpu);
