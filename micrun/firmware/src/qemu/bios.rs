//! `[Qemu]` `Bios`: what a RISC-V machine runs before the firmware.

use std::fmt;
use std::str::FromStr;

use crate::elf::{ElfInfo, Family};
use crate::text::{hint, quoted, serde_as_text};

/// What runs at reset. QEMU reads a file by this option, too; an image names none, for it would be a path of
/// the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bios {
    /// QEMU's own boot code: OpenSBI, which starts firmware in S-mode.
    Default,
    /// The firmware itself, in M-mode.
    None,
}

impl Bios {
    const ALL: [Self; 2] = [Self::Default, Self::None];

    /// As `-bios` and client.conf spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::None => "none",
        }
    }

    /// What the firmware was linked for, by where it is: OpenSBI jumps to 2 MiB above the start of RAM, on
    /// 32 bits to 4 MiB (OpenSBI's `FW_JUMP_OFFSET`), and needs what is below for itself. `None` for other
    /// processors, which have no such choice.
    pub fn of(elf: &ElfInfo) -> Option<Self> {
        let family = elf.family().filter(|family| matches!(family, Family::Riscv64 | Family::Riscv32))?;
        let behind = DRAM + Self::Default.size(family);
        let in_dram = elf.lowest().is_some_and(|lowest| lowest >= behind);
        Some(if in_dram { Self::Default } else { Self::None })
    }

    /// The memory at the start of RAM that belongs to the boot code, in bytes.
    pub(super) const fn size(self, family: Family) -> u64 {
        match (self, family) {
            (Self::Default, Family::Riscv64) => 2 << 20,
            (Self::Default, Family::Riscv32) => 4 << 20,
            _ => 0,
        }
    }
}

/// Where the RAM of all RISC-V machines with such a choice begins.
const DRAM: u64 = 0x8000_0000;

impl fmt::Display for Bios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Bios {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|bios| bios.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str);
            format!("{} is neither default nor none{}", quoted(text), hint(text, known))
        })
    }
}

serde_as_text!(Bios);
