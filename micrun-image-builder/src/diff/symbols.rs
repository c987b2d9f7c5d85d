//! The functions and variables of a firmware, by its symbol table.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use micrun_firmware::{ElfInfo, Sha256Digest};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, Sym};
use object::{Endianness, ReadCache, ReadRef};
use serde::Serialize;

use super::pairs::{self, Pair};

/// More than firmware has.
const MAX_SYMBOLS: usize = 200_000;
/// Bytes of functions and variables that are compared. What is beyond is compared by size.
const MAX_BYTES: u64 = 512 << 20;
const MAX_SECTIONS: u32 = 4096;

/// What becomes of the symbols.
#[derive(Default, Serialize)]
pub(super) struct Symbols {
    pub(super) added: Vec<String>,
    pub(super) removed: Vec<String>,
    /// Those with another size or other bytes.
    pub(super) changed: Vec<String>,
    /// Those that are only at another address.
    pub(super) moved: usize,
}

/// A symbol. Two of one name are told apart by their order.
#[derive(Clone, PartialEq, Eq)]
struct Symbol {
    address: u64,
    size: u64,
    bytes: Option<Sha256Digest>,
}

/// Compares the symbols of two firmwares. `None` if one has none.
pub(super) fn compare(before: (&File, &ElfInfo), after: (&File, &ElfInfo)) -> Option<Symbols> {
    let (before, after) = (read(before)?, read(after)?);
    let content = |symbols: &BTreeMap<String, Symbol>| {
        let content = |it: &Symbol| format!("{} {:?}", it.size, it.bytes);
        symbols.iter().map(|(name, it)| (name.clone(), content(it))).collect()
    };
    let mut symbols = Symbols::default();
    for Pair { key, before, after } in pairs::differing(&content(&before), &content(&after)) {
        match (before, after) {
            (None, _) => symbols.added.push(key),
            (_, None) => symbols.removed.push(key),
            _ => symbols.changed.push(key),
        }
    }
    let is_moved = |(name, it): &(&String, &Symbol)| {
        after.get(*name).is_some_and(|other| (other.size, other.bytes) == (it.size, it.bytes) && other != *it)
    };
    symbols.moved = before.iter().filter(is_moved).count();
    Some(symbols)
}

fn read((file, info): (&File, &ElfInfo)) -> Option<BTreeMap<String, Symbol>> {
    let cache = ReadCache::new(file);
    let found = table::<FileHeader64<Endianness>, _>(&cache, file, info)
        .or_else(|| table::<FileHeader32<Endianness>, _>(&cache, file, info))?;
    (!found.is_empty()).then_some(found)
}

fn table<'d, H: FileHeader<Endian = Endianness>, R: ReadRef<'d>>(
    data: R,
    file: &File,
    info: &ElfInfo,
) -> Option<BTreeMap<String, Symbol>> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.shnum(endian, data).ok()? > MAX_SECTIONS {
        return None;
    }
    let table = header.sections(endian, data).ok()?.symbols(endian, data, elf::SHT_SYMTAB).ok()?;
    let mut found = BTreeMap::new();
    let mut left = MAX_BYTES;
    for symbol in table.iter().take(MAX_SYMBOLS) {
        let size: u64 = symbol.st_size(endian).into();
        let is_code = symbol.st_type() == elf::STT_FUNC;
        if size == 0 || !(is_code || symbol.st_type() == elf::STT_OBJECT) || symbol.is_undefined(endian) {
            continue;
        }
        let Ok(name) = table.symbol_name(endian, symbol) else { continue };
        let address: u64 = symbol.st_value(endian).into();
        // Bit 0 of a function's address says Thumb code, on 32-bit ARM.
        let start = if is_code { address & !1 } else { address };
        let bytes = if size <= left { bytes(file, info, start, size) } else { None };
        left = left.saturating_sub(size);
        let name = String::from_utf8_lossy(name).into_owned();
        let mut unique = name.clone();
        for number in 2.. {
            if !found.contains_key(&unique) {
                break;
            }
            unique = format!("{name} ({number})");
        }
        found.insert(unique, Symbol { address, size, bytes });
    }
    Some(found)
}

/// The digest of what the file has at an address. `None` if it has nothing there, as of variables that begin as zero.
fn bytes(file: &File, info: &ElfInfo, address: u64, size: u64) -> Option<Sha256Digest> {
    let segment = info.segments.iter().find(|it| {
        address >= it.vaddr && address.checked_add(size).is_some_and(|end| end - it.vaddr <= it.filesz)
    })?;
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, segment.offset + (address - segment.vaddr)).ok()?;
    Some(Sha256Digest::of(&bytes))
}
