//! Where an address lies in a firmware: the nearest symbol before it.

use std::fmt;
use std::io::{Read, Seek};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::FileHeader;
use object::{Endianness, ReadCache, ReadRef};

use super::{Class, ElfInfo, Fault, Machine, symbols};
use crate::text::printable;
use crate::{Error, Result};

/// Where an address lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// So many bytes behind a symbol's address.
    Symbol {
        /// The symbol's name, printable.
        name: String,
        /// In bytes.
        offset: u64,
    },
    /// In a segment, without a symbol before it: the file is stripped.
    Unnamed,
    /// In no segment: the firmware has no code there.
    Outside,
}

impl Place {
    /// Finds the place of a virtual address in the firmware that `reader` holds.
    pub fn find(mut reader: impl Read + Seek, address: u64) -> Result<Self> {
        let info = ElfInfo::from_reader(&mut reader)?;
        let holds = |start: u64, size: u64| address.checked_sub(start).is_some_and(|at| at < size);
        if !info.segments.iter().any(|segment| holds(segment.vaddr, segment.memsz)) {
            return Ok(Self::Outside);
        }
        let cache = ReadCache::new(reader);
        // Bit 0 of a function's address says that it is Thumb code.
        let mask = if info.machine == Machine::Arm { !1 } else { !0 };
        let nearest = match info.class {
            Class::Elf32 => nearest::<FileHeader32<Endianness>, _>(&cache, address, mask),
            Class::Elf64 => nearest::<FileHeader64<Endianness>, _>(&cache, address, mask),
        };
        Ok(nearest.map_err(Error::elf)?.unwrap_or(Self::Unnamed))
    }
}

/// The last symbol of code at or before `address`.
fn nearest<'d, H, R>(data: R, address: u64, mask: u64) -> Result<Option<Place>, Fault>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let mut found: Option<(u64, &[u8])> = None;
    symbols::each::<H, R>(data, |kind, value, name| {
        let value = value & mask;
        let is_code = matches!(kind, elf::STT_FUNC | elf::STT_NOTYPE);
        if !is_code || value > address || found.is_some_and(|(best, _)| value <= best) {
            return;
        }
        // `$x`, `$d` and the like tell code from data (ELF for the Arm architecture, "Mapping symbols").
        if let Some(name) = name().filter(|name| !name.is_empty() && !name.starts_with(b"$")) {
            found = Some((value, name));
        }
    })?;
    Ok(found.map(|(value, name)| Place::Symbol {
        name: printable(&String::from_utf8_lossy(name)),
        offset: address - value,
    }))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Symbol { name, offset: 0 } => write!(f, "in {name}"),
            Self::Symbol { name, offset } => write!(f, "in {name}+{offset:#x}"),
            Self::Unnamed => f.write_str("in the firmware, whose ELF names no function there"),
            Self::Outside => f.write_str("outside of the firmware's segments"),
        }
    }
}
