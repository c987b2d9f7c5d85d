//! `[Qemu]` `Bios`: what a RISC-V machine runs before the firmware.

use std::fmt;
use std::io::{Read, Seek, SeekFrom};
use std::str::FromStr;

use libmica::names;

use super::Board;
use crate::elf::{self, ElfInfo, Family, Requirements, Window};
use crate::text::{hint, quoted, serde_as_text};
use crate::{Error, Result};

/// What runs at reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bios {
    /// QEMU's own boot code: OpenSBI, which starts firmware in S-mode.
    Default,
    /// The firmware itself, in M-mode.
    None,
    /// Boot code of the image's own, in place of QEMU's: an absolute path. The image's root is its `/`; what a shim
    /// hands to micad is a path of the host.
    File(String),
}

impl Bios {
    const WORDS: [&str; 2] = ["default", "none"];

    /// As client.conf spells it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::None => "none",
            Self::File(path) => path,
        }
    }

    /// The path of boot code that is no part of QEMU.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::File(path) => Some(path),
            Self::Default | Self::None => None,
        }
    }

    /// What the firmware was linked for, by where it is: OpenSBI jumps to 2 MiB above the start of RAM, on
    /// 32 bits to 4 MiB (OpenSBI's `FW_JUMP_OFFSET`), and needs what is below for itself. `None` for other
    /// processors, which have no such choice.
    pub fn of(elf: &ElfInfo) -> Option<Self> {
        let room = room(elf.family()?)?;
        let in_dram = elf.lowest().is_some_and(|lowest| lowest >= room.end());
        Some(if in_dram { Self::Default } else { Self::None })
    }

    /// The memory at the start of RAM that belongs to the boot code, in bytes.
    pub(super) fn size(&self, family: Family) -> u64 {
        match self {
            Self::None => 0,
            Self::Default | Self::File(_) => room(family).map_or(0, |room| room.size),
        }
    }
}

/// Where boot code lives: at the start of the RAM of all RISC-V machines with such a choice, as much as OpenSBI has.
const fn room(family: Family) -> Option<Window> {
    let size = match family {
        Family::Riscv64 => 2 << 20,
        Family::Riscv32 => 4 << 20,
        _ => return None,
    };
    Some(Window { base: 0x8000_0000, size })
}

/// Whether the file at `path` can be the boot code before this firmware on this machine: an ELF for the same processor,
/// or a raw binary, in the first 2 MiB of RAM (4 MiB on 32 bits). QEMU loads either.
pub fn check_bios(
    path: &str,
    mut file: impl Read + Seek,
    firmware: &ElfInfo,
    board: Option<&Board>,
) -> Result<()> {
    let refuse = |reason| Error::Unusable { path: path.to_owned(), reason };
    let io = |error| Error::io("read", path, error);
    let takes_any = board.is_none_or(|board| board.ram.is_some());
    let Some(room) = firmware.family().and_then(room).filter(|_| takes_any) else {
        return Err(refuse("the machine runs no boot code before its firmware; omit Bios".to_owned()));
    };
    let mut start = Vec::new();
    file.rewind().map_err(io)?;
    file.by_ref().take(4).read_to_end(&mut start).map_err(io)?;
    if start == b"\x7fELF" {
        let boot_code = ElfInfo::from_reader(file).map_err(|error| error.in_file(path))?;
        if boot_code.family() != firmware.family() {
            return Err(refuse(format!("it is for {}, unlike the firmware", boot_code.architecture())));
        }
        let requirements = Requirements::default().with_windows("boot code", vec![room]);
        return elf::check(&boot_code, &requirements).map_err(|error| error.in_file(path));
    }
    match file.seek(SeekFrom::End(0)).map_err(io)? {
        0 => Err(refuse("it is empty".to_owned())),
        size if size > room.size => Err(refuse(format!(
            "it has {size} bytes, more than the {} that are before the firmware in RAM",
            room.size
        ))),
        _ => Ok(()),
    }
}

impl fmt::Display for Bios {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Bios {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "default" => Ok(Self::Default),
            "none" => Ok(Self::None),
            path if path.starts_with('/')
                && path.len() <= names::PATH_MAX
                && !path.contains(char::is_control) =>
            {
                Ok(Self::File(path.to_owned()))
            }
            _ => Err(format!(
                "{} is neither default nor none nor the absolute path of a file{}",
                quoted(text),
                hint(text, Self::WORDS)
            )),
        }
    }
}

serde_as_text!(Bios);
