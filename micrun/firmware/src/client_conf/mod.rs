//! `client.conf`: the ini file that describes one mica client, in `/etc/mica` on a host and at the root
//! of a firmware image.
//!
//! `[Mica]` is upstream's section (mica-protocol 1.8), read as Python's configparser reads it: keys without
//! regard to case, `=` or `:`, comments on lines of their own that begin with `#` or `;`. `[Qemu]` and
//! `[Micrun]` are ours; upstream's daemon passes over them. The format is documented in
//! `docs/CLIENT_CONF.md`.

pub(crate) mod ini;
mod machine;
mod section;
mod value;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use machine::{Cpu, Machine, MachineOption};

use crate::text::{hint, quoted};
use crate::{Annotations, Error, Pedestal, Result, annotations};
use section::Section;

/// The file's name at the root of an image.
pub const FILE_NAME: &str = "client.conf";

/// The largest client.conf accepted, in bytes.
pub const MAX_SIZE: u64 = 64 << 10;

/// The longest client name, in bytes: 66 in the create message, one of them NUL (mica-protocol 1.2).
pub const MAX_NAME: usize = 65;

/// The longest path in the create message, in bytes (mica-protocol 1.2).
pub const MAX_PATH: usize = 255;
/// Longest `Append`: what Linux takes on aarch64 (`COMMAND_LINE_SIZE`).
pub const MAX_APPEND: usize = 2048;

/// A client.conf as read. `None` is a key that is absent, empty or upstream's "not set", -1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientConf {
    /// `[Mica]`.
    pub mica: MicaSection,
    /// `[Qemu]`.
    pub qemu: QemuSection,
    /// `[Micrun]`: annotations, keyed without their prefix.
    pub micrun: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// `[Mica]`, upstream's keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MicaSection {
    /// `Name`: the client's name, at most [`MAX_NAME`] bytes. A container's id replaces it.
    pub name: Option<String>,
    /// `ClientPath`: the firmware ELF; in an image, relative to its root.
    pub client_path: Option<String>,
    /// `Pedestal`.
    pub pedestal: Option<Pedestal>,
    /// `PedestalConf`: the pedestal's own file; in an image, relative to its root.
    pub pedestal_conf: Option<String>,
    /// `CPU`: what the pedestal makes of it; the core to boot, a pin list.
    pub cpu: Option<String>,
    /// `VCPU`: virtual CPUs.
    pub vcpu: Option<u32>,
    /// `MaxVCPU`.
    pub max_vcpu: Option<u32>,
    /// `CPUWeight`: 1 to 65535.
    pub cpu_weight: Option<u32>,
    /// `CPUCapacity`: percent of one CPU; 0 is no limit.
    pub cpu_capacity: Option<u32>,
    /// `Memory`, in MiB.
    pub memory: Option<u32>,
    /// `MaxMemory`, in MiB.
    pub max_memory: Option<u32>,
    /// `IOMem`: xl's iomem list.
    pub iomem: Option<String>,
    /// `Network`: xl's vif list.
    pub network: Option<String>,
    /// `Debug`: gdb support.
    pub debug: Option<bool>,
    /// `AutoBoot`: start with the daemon.
    pub auto_boot: Option<bool>,
}

/// `[Qemu]`, for the qemu pedestal. Its serialised form is what micad keeps of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QemuSection {
    /// `Machine`.
    pub machine: Option<Machine>,
    /// `CPU`.
    pub cpu: Option<Cpu>,
    /// `Memory`, in MiB; `[Mica]` `Memory` goes before it.
    pub memory: Option<u32>,
    /// `Consoles`: serial ports, 1 or 2; the second one is for the firmware's shell.
    pub consoles: Option<u32>,
    /// `Append`: the kernel command line, `bootargs` in the device tree's `chosen` node.
    pub append: Option<String>,
}

impl ClientConf {
    /// Reads the text of a client.conf. What can be passed over (an unknown key or section) becomes one of
    /// the [warnings](Self::warnings); everything else that is wrong is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let mut sections = ini::parse(text)?;
        let mut conf = Self {
            mica: MicaSection::read(&mut Section::take(&mut sections, "Mica"))?,
            qemu: QemuSection::read(&mut Section::take(&mut sections, "Qemu"))?,
            micrun: sections.remove("micrun").unwrap_or_default(),
            warnings: Vec::new(),
        };
        // [Mica] and [Qemu] leave what they do not know.
        for (section, keys, known) in [
            ("Mica", sections.remove("mica"), MicaSection::KEYS),
            ("Qemu", sections.remove("qemu"), QemuSection::KEYS),
        ] {
            conf.warnings.extend(keys.into_iter().flatten().map(|(key, _)| {
                let hint = hint(&key, known.iter().copied());
                format!(
                    "client.conf, [{section}]: the key {} is not known and is ignored{hint}",
                    quoted(&key)
                )
            }));
        }
        conf.warnings.extend(sections.keys().map(|section| {
            let hint = hint(section, ["Mica", "Qemu", "Micrun"]);
            format!("client.conf: the section {} is not known and is ignored{hint}", quoted(section))
        }));
        conf.warnings.extend(conf.annotations()?.warnings().iter().map(|w| format!("client.conf: {w}")));
        Ok(conf)
    }

    /// What a user should be told about the file; a sentence each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// `[Micrun]` as annotations.
    pub fn annotations(&self) -> Result<Annotations> {
        let prefixed =
            |(key, value): (&String, &String)| (annotations::PREFIX.to_owned() + key, value.clone());
        Annotations::from_map(&self.micrun.iter().map(prefixed).collect())
    }

    /// `Name`, for a use that needs one.
    pub fn name(&self) -> Result<&str> {
        self.mica.name.as_deref().ok_or(Error::ConfMissing { section: "Mica", key: "Name" })
    }

    /// `ClientPath`, for a use that needs one.
    pub fn client_path(&self) -> Result<&str> {
        self.mica.client_path.as_deref().ok_or(Error::ConfMissing { section: "Mica", key: "ClientPath" })
    }

    /// The memory of the client, in MiB, if the file says it: `[Mica]` `Memory`, else `[Qemu]` `Memory`.
    pub fn memory(&self) -> Option<u32> {
        self.mica.memory.or(self.qemu.memory)
    }

    /// Whether the file has keys of `[Mica]`, and so describes a client; `/etc/mica` holds other files too.
    pub fn describes_client(&self) -> bool {
        self.mica != MicaSection::default()
    }
}
