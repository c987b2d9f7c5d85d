//! The cores beside Linux that the baremetal pedestal may boot: one file a board in `boards/`, compiled in.
//! The builder asks whether a firmware fits one, before it is deployed there.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::elf::{self, ElfInfo, Processor, Requirements, Window};
use crate::qemu::ports::normal;
use crate::{Error, Result};

/// A core that Linux boots through remoteproc.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Core {
    /// What `--board` calls it.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// The processor's model.
    pub core: String,
    /// What its remoteproc is called in sysfs; `*` stands for any text.
    pub remoteproc: Vec<String>,
    /// Whether its driver starts no firmware without a resource table.
    pub resource_table: bool,
    /// Where its firmware can be, at the addresses that the core sees.
    pub memory: Vec<Region>,
}

/// Memory of a core.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// The name in the manual.
    pub name: String,
    /// The first address.
    pub base: u64,
    /// In bytes.
    pub size: u64,
}

const FILES: [&str; 14] = [
    include_str!("../../boards/am62-m4.toml"),
    include_str!("../../boards/am62-r5.toml"),
    include_str!("../../boards/am64-m4.toml"),
    include_str!("../../boards/am64-r5.toml"),
    include_str!("../../boards/imx8mm.toml"),
    include_str!("../../boards/imx8mn.toml"),
    include_str!("../../boards/imx8mp.toml"),
    include_str!("../../boards/imx8mq.toml"),
    include_str!("../../boards/imx93.toml"),
    include_str!("../../boards/qemu-arm64.toml"),
    include_str!("../../boards/rzg2l.toml"),
    include_str!("../../boards/stm32mp15.toml"),
    include_str!("../../boards/stm32mp25.toml"),
    include_str!("../../boards/zynqmp-r5.toml"),
];

/// All of them, by name.
#[expect(clippy::expect_used, reason = "the files are compiled in, and a test reads them")]
pub static BOARDS: LazyLock<Vec<Core>> =
    LazyLock::new(|| FILES.iter().map(|text| toml::from_str(text).expect("a board's description")).collect());

impl Region {
    /// Its addresses.
    pub const fn window(&self) -> Window {
        Window { base: self.base, size: self.size }
    }
}

impl Core {
    /// The one with this name; `-`, `_` and `/` are alike.
    pub fn named(name: &str) -> Option<&'static Self> {
        BOARDS.iter().find(|core| normal(&core.name) == normal(name))
    }

    /// Those that the firmware fits.
    pub fn fitting(elf: &ElfInfo) -> impl Iterator<Item = &'static Self> {
        BOARDS.iter().filter(|core| core.check(elf).is_ok())
    }

    /// Whether the firmware can be booted on it. The error names the board.
    pub fn check(&self, elf: &ElfInfo) -> Result<()> {
        let of = format!("the board {}", self.name);
        if !Processor::of_model(&self.core)
            .is_some_and(|own| elf.processor.as_ref().is_some_and(|it| own.runs(it)))
        {
            return Err(Error::elf(elf::Fault::OtherCore {
                processor: elf
                    .processor
                    .as_ref()
                    .map_or_else(|| elf.machine.to_string(), ToString::to_string),
                of,
                has: self.core.clone(),
            }));
        }
        let requirements = Requirements { resource_table: self.resource_table, ..Requirements::default() };
        elf::check(elf, &requirements.with_windows(of, self.memory.iter().map(Region::window).collect()))
    }
}
