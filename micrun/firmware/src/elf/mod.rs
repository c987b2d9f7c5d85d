//! What a loader needs to know of a firmware's ELF, and whether it can be run.
//!
//! [`ElfInfo`] is read from headers alone, so a firmware of any size costs a few kilobytes; it is the
//! same for 32 and 64 bits. [`check`] then says whether the firmware fits its use.

mod attributes;
mod check;
mod fault;
mod moved;
mod names;
mod place;
mod processor;
mod read;
mod symbols;

use std::fmt;
use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

pub(crate) use check::list;
pub use check::{Memory, Requirements, Window, check};
pub use fault::Fault;
pub use moved::Moved;
pub use place::Place;
pub use processor::{ArmVersion, Family, Processor};

use crate::{Error, Result};

/// Owner of the note that tells where the exit record is (docs/FIRMWARE.md, "Exit status").
pub const EXIT_NOTE_OWNER: &str = "micrun";

/// Type of that note.
pub const EXIT_NOTE_TYPE: u32 = 1;

/// Size of the exit record in the guest's memory, in bytes.
pub const EXIT_RECORD_SIZE: u64 = 16;

/// A firmware's ELF file, as its headers describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ElfInfo {
    /// 32 or 64 bits.
    pub class: Class,
    /// The byte order.
    pub endian: Endian,
    /// The processor, as the header says it.
    pub machine: Machine,
    /// The processor, as close as the file says it; `None` for one that no pedestal has.
    pub processor: Option<Processor>,
    /// The first stack of a Cortex-M: the first word of its vector table.
    pub stack: Option<u64>,
    /// What kind of ELF file it is.
    pub kind: Kind,
    /// The virtual address of the first instruction. Bit 0 is set for ARM's Thumb code.
    pub entry: u64,
    /// The `PT_LOAD` segments, in the order of the program headers.
    pub segments: Vec<Segment>,
    /// Whether there is a `.resource_table` section with contents (mica-protocol 2.6).
    pub has_resource_table: bool,
    /// Guest-physical address of the exit record, if the firmware has one.
    pub exit_record: Option<u64>,
    /// Whether it asks for a dynamic linker, as programs for Linux do.
    pub has_interpreter: bool,
    /// Where in the file the names of its sections and symbols are.
    pub names: Vec<FileRange>,
    /// The size of the file, in bytes.
    pub file_size: u64,
}

/// A `PT_LOAD` segment. Addresses and sizes are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Offset in the file.
    pub offset: u64,
    /// Physical address: where a loader puts it.
    pub paddr: u64,
    /// Virtual address: where it is linked to run.
    pub vaddr: u64,
    /// Bytes in the file.
    pub filesz: u64,
    /// Bytes in memory; what the file does not fill is zero.
    pub memsz: u64,
    /// `p_flags`: 1 execute, 2 write, 4 read, and the processor's own.
    pub flags: u32,
}

/// A part of the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRange {
    /// Where it begins.
    pub offset: u64,
    /// Its length.
    pub size: u64,
}

impl Segment {
    /// Whether code may run in it (`PF_X`).
    pub const fn is_executable(&self) -> bool {
        self.flags & 1 != 0
    }
}

/// Width of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// `ELFCLASS32`.
    Elf32,
    /// `ELFCLASS64`.
    Elf64,
}

/// Byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endian {
    /// `ELFDATA2LSB`.
    Little,
    /// `ELFDATA2MSB`.
    Big,
}

/// Processor (`e_machine`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM, Cortex-M included.
    Arm,
    /// RISC-V, 32 or 64 bits by [`Class`].
    Riscv,
    /// Any other, by its number.
    Other(u16),
}

/// Kind of ELF file (`e_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `ET_EXEC`: linked to fixed addresses.
    Executable,
    /// `ET_DYN`: a library, or a position-independent program.
    Dynamic,
    /// `ET_REL`: an object file, not linked yet.
    Relocatable,
    /// Any other, by its number.
    Other(u16),
}

impl ElfInfo {
    /// Reads the headers of the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let file = File::open(path).map_err(|error| Error::io("open", &name, error))?;
        Self::from_reader(file).map_err(|error| error.in_file(&name))
    }

    /// Reads the headers of an ELF file in memory.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        Self::from_reader(Cursor::new(bytes))
    }

    /// Reads the headers of a file; only they are read, and kept for the time of the call.
    pub fn from_reader(reader: impl Read + Seek) -> Result<Self> {
        read::read(reader)
    }

    /// What code it consists of; `None` for that of a processor that no pedestal has.
    pub fn family(&self) -> Option<Family> {
        self.processor.as_ref().map(|processor| processor.family)
    }

    /// The lowest physical address that is loaded.
    pub fn lowest(&self) -> Option<u64> {
        self.segments.iter().filter(|segment| segment.memsz > 0).map(|segment| segment.paddr).min()
    }

    /// The architecture of the firmware in the words of OCI's `platform` and Go's `GOARCH`.
    pub const fn architecture(&self) -> &'static str {
        match (self.machine, self.class) {
            (Machine::Aarch64, _) => "arm64",
            (Machine::Arm, _) => "arm",
            (Machine::Riscv, Class::Elf64) => "riscv64",
            (Machine::Riscv, Class::Elf32) => "riscv32",
            (Machine::Other(_), _) => "unknown",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf32 => "ELF32",
            Self::Elf64 => "ELF64",
        })
    }
}

impl fmt::Display for Endian {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Little => "little-endian",
            Self::Big => "big-endian",
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aarch64 => f.write_str("aarch64"),
            Self::Arm => f.write_str("arm"),
            Self::Riscv => f.write_str("riscv"),
            Self::Other(number) => match names::of_machine(*number) {
                Some(name) => f.write_str(name),
                None => write!(f, "number {number}"),
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Executable => f.write_str("ET_EXEC"),
            Self::Dynamic => f.write_str("ET_DYN"),
            Self::Relocatable => f.write_str("ET_REL"),
            Self::Other(number) => write!(f, "type {number}"),
        }
    }
}
