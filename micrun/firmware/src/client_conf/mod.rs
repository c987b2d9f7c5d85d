//! `client.conf`: the ini file that describes one mica client, in `/etc/mica` on a host and at the root
//! of a firmware image.
//!
//! `[Mica]` is upstream's section (mica-protocol 1.8). `[Qemu]` and `[Micrun]` are ours; upstream's daemon
//! ignores them. The format is documented in `docs/CLIENT_CONF.md`.

mod devices;
mod machine;
mod section;
mod value;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use devices::{Device, Devices};
pub use machine::{Cpu, Machine, MachineOption};
pub(crate) use value::yes_or_no;

use crate::ini::{Ini, Top};
use crate::qemu::Bios;
use crate::{Annotations, Error, Pedestal, Result, annotations};

/// The file's name at the root of an image.
pub const FILE_NAME: &str = "client.conf";

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
    /// `Name`: the client's name, see [`libmica::names::validate`]. A container's id replaces it.
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
    /// `Memory`, in MiB; `[Mica]` `Memory` overrides it.
    pub memory: Option<u32>,
    /// `Bios`: what runs before the firmware, on RISC-V.
    pub bios: Option<Bios>,
    /// `Devices`: what the machine gets besides its own.
    pub devices: Option<Devices>,
    /// `Consoles`: serial ports, 1 or 2; the second one is for the firmware's shell.
    pub consoles: Option<u32>,
    /// `ConsolePort`: the serial port that is the console, 1 or 2.
    pub console_port: Option<u32>,
    /// `Append`: the kernel command line, `bootargs` in the device tree's `chosen` node.
    pub append: Option<String>,
}

impl QemuSection {
    /// Sets one key, as a line of the file would.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let line = format!("[Qemu]\n{key} = {value}\n");
        let read = ClientConf::parse(&line)?;
        if let Some(warning) = read.warnings.first() {
            return Err(Error::ConfKey { reason: warning.clone() });
        }
        let Self { machine, cpu, memory, bios, devices, consoles, console_port, append } = read.qemu;
        let one = Self {
            machine: machine.or(self.machine.take()),
            cpu: cpu.or(self.cpu.take()),
            memory: memory.or(self.memory),
            bios: bios.or(self.bios.take()),
            devices: devices.or(self.devices.take()),
            consoles: consoles.or(self.consoles),
            console_port: console_port.or(self.console_port),
            append: append.or(self.append.take()),
        };
        *self = one;
        Ok(())
    }
}

impl ClientConf {
    /// Reads the text of a client.conf. An unknown key or section becomes one of the
    /// [warnings](Self::warnings); everything else that is wrong is an error.
    pub fn parse(text: &str) -> Result<Self> {
        let mut ini = Ini::parse(text, Top::Refused("Mica"))?;
        let (mut mica, mut qemu) = (ini.take("Mica"), ini.take("Qemu"));
        let mut conf = Self {
            mica: MicaSection::read(&mut mica)?,
            qemu: QemuSection::read(&mut qemu)?,
            micrun: ini.take("Micrun").into_values(),
            warnings: Vec::new(),
        };
        let keys = [mica.unknown(), qemu.unknown()].concat();
        conf.warnings.extend(keys.iter().map(|sentence| format!("client.conf, {sentence}")));
        let sections = ini.unknown(&["Mica", "Qemu", "Micrun"]);
        conf.warnings.extend(sections.iter().map(|sentence| format!("client.conf: {sentence}")));
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
