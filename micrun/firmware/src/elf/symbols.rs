//! The symbols of a firmware, read where they lie.

use object::elf::{self, SymbolType};
use object::read::SectionIndex;
use object::read::elf::{FileHeader, SectionHeader, Sym};
use object::{Endianness, ReadRef};

use super::Fault;
use super::read::{MAX_SECTIONS, bad, bounded};

/// Largest symbol table that is read, in bytes: some 350000 symbols.
const MAX_SYMBOLS: u64 = 8 << 20;

/// Gives the type and the value of each symbol that is defined in a section, and what reads its name. Nothing of a file
/// that is stripped.
pub(super) fn each<'d, H, R>(
    data: R,
    mut seen: impl FnMut(SymbolType, u64, &dyn Fn() -> Option<&'d [u8]>),
) -> Result<(), Fault>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    bounded("sections", header.shnum(endian, data).map_err(bad)?.into(), MAX_SECTIONS)?;
    let sections = header.sections(endian, data).map_err(bad)?;
    let table = sections.iter().enumerate().find(|(_, section)| section.sh_type(endian) == elf::SHT_SYMTAB);
    let Some((index, section)) = table else { return Ok(()) };
    bounded("bytes of symbols", section.sh_size(endian).into(), MAX_SYMBOLS)?;
    let symbols = sections.symbol_table_by_index(endian, data, SectionIndex(index)).map_err(bad)?;
    for symbol in symbols.iter() {
        if !symbol.is_undefined(endian) && !symbol.is_absolute(endian) {
            let name = || symbol.name(endian, symbols.strings()).ok();
            seen(symbol.st_type(), symbol.st_value(endian).into(), &name);
        }
    }
    Ok(())
}
