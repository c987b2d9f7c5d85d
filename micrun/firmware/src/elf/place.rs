//! Where an address lies in a firmware: the nearest symbol before it.

use std::fmt;
use std::io::{Read, Seek};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::SectionIndex;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, ReadCache, ReadRef};

use super::read::{MAX_SECTIONS, bad, bounded};
use super::{Class, ElfInfo, Fault, Machine};
use crate::text::printable;
use crate::{Error, Result};

/// Largest symbol table that is read, in bytes: some 350000 symbols.
const MAX_SYMBOLS: u64 = 8 << 20;

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
    let header = H::parse(data).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    bounded("sections", header.shnum(endian, data).map_err(bad)?.into(), MAX_SECTIONS)?;
    let sections = header.sections(endian, data).map_err(bad)?;
    let table = sections.iter().enumerate().find(|(_, section)| section.sh_type(endian) == elf::SHT_SYMTAB);
    let Some((index, section)) = table else { return Ok(None) };
    bounded("bytes of symbols", section.sh_size(endian).into(), MAX_SYMBOLS)?;
    let symbols = sections.symbol_table_by_index(endian, data, SectionIndex(index)).map_err(bad)?;
    let mut found: Option<(u64, &[u8])> = None;
    for symbol in symbols.iter() {
        let value: u64 = Into::<u64>::into(symbol.st_value(endian)) & mask;
        let is_code = matches!(symbol.st_type(), elf::STT_FUNC | elf::STT_NOTYPE);
        let is_nearer = found.is_none_or(|(best, _)| value > best);
        if !is_code
            || symbol.is_undefined(endian)
            || symbol.is_absolute(endian)
            || value > address
            || !is_nearer
        {
            continue;
        }
        // `$x`, `$d` and the like tell code from data (ELF for the Arm architecture, "Mapping symbols").
        let named = symbol.name(endian, symbols.strings()).ok();
        if let Some(name) = named.filter(|name| !name.is_empty() && !name.starts_with(b"$")) {
            found = Some((value, name));
        }
    }
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
