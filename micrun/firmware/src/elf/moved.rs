//! Functions that are elsewhere in another build of a firmware: whoever sleeps in one wakes up in something else.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use object::elf::{FileHeader32, FileHeader64, STT_FUNC};
use object::read::elf::FileHeader;
use object::{Endianness, ReadCache, ReadRef};

use super::{Class, ElfInfo, Fault, symbols};
use crate::text::printable;
use crate::{Error, Result};

/// A function that two firmwares do not have at the same address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name, printable.
    pub name: String,
    /// Its virtual address in the first firmware.
    pub from: u64,
    /// And in the second.
    pub to: u64,
}

impl Moved {
    /// The first function, by name, that has moved. `None` if none has, or if one of the files names no functions.
    pub fn find(base: impl Read + Seek, result: impl Read + Seek) -> Result<Option<Self>> {
        let (base, result) = (functions(base)?, functions(result)?);
        let moved = base.into_iter().find_map(|(name, from)| {
            let to = result.get(&name)?;
            // Static functions of several files may have one name.
            let (from, to) = from.iter().zip(to).find(|(from, to)| from != to)?;
            Some(Self { name: printable(&String::from_utf8_lossy(&name)), from: *from, to: *to })
        });
        Ok(moved)
    }
}

/// The addresses of functions, in their order, by name.
type Functions = BTreeMap<Vec<u8>, Vec<u64>>;

fn functions(mut reader: impl Read + Seek) -> Result<Functions> {
    let class = ElfInfo::from_reader(&mut reader)?.class;
    let cache = ReadCache::new(reader);
    let read = match class {
        Class::Elf32 => collect::<FileHeader32<Endianness>, _>(&cache),
        Class::Elf64 => collect::<FileHeader64<Endianness>, _>(&cache),
    };
    read.map_err(Error::elf)
}

fn collect<'d, H, R>(data: R) -> Result<Functions, Fault>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let mut functions = Functions::new();
    symbols::each::<H, R>(data, |kind, value, name| {
        if let Some(name) = (kind == STT_FUNC).then(name).flatten() {
            functions.entry(name.to_owned()).or_default().push(value);
        }
    })?;
    for addresses in functions.values_mut() {
        addresses.sort_unstable();
    }
    Ok(functions)
}
