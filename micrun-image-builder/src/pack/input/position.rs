//! Position-independent firmware (`ET_DYN`, as `-static-pie` links it). Nothing that starts firmware relocates
//! it, so it runs only where it was linked, and only if it needs no relocation there.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use micrun_firmware::elf::{Class, ElfInfo, Endian};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, ReadCache, ReadRef};

use super::fault::{Fault, Result};

/// The largest dynamic section that is read, in bytes. Firmware has one of a few hundred, if any.
const MAX_DYNAMIC: u64 = 64 << 10;
/// Where `e_type` is in the header of either class.
const E_TYPE: u64 = 16;

/// The sizes of relocation tables, by their tag.
const TABLES: [(elf::DynamicTag, &str); 4] = [
    (elf::DT_RELASZ, "DT_RELA"),
    (elf::DT_RELSZ, "DT_REL"),
    (elf::DT_RELRSZ, "DT_RELR"),
    (elf::DT_PLTRELSZ, "DT_JMPREL"),
];

/// A copy of the file in which it is linked to fixed addresses (`ET_EXEC`), if that is true of it.
pub(crate) fn fixed(file: &File, info: &ElfInfo, mut copy: File) -> Result<File> {
    let needed = match info.class {
        Class::Elf32 => relocations::<FileHeader32<Endianness>, _>(&ReadCache::new(file)),
        Class::Elf64 => relocations::<FileHeader64<Endianness>, _>(&ReadCache::new(file)),
    }?;
    if let Some(table) = needed {
        return Err(Fault::refused(format!(
            "the ELF is position-independent (ET_DYN) and has relocations ({table}), which nobody applies before \
             firmware starts; link it with -static -no-pie, or, if it relocates itself, pack the .bin that is made \
             from it"
        )));
    }
    let mut source = file;
    source.rewind()?;
    io::copy(&mut source.take(info.file_size), &mut copy).map_err(Fault::Temporary)?;
    let executable = match info.endian {
        Endian::Little => elf::ET_EXEC.0.to_le_bytes(),
        Endian::Big => elf::ET_EXEC.0.to_be_bytes(),
    };
    copy.write_all_at(&executable, E_TYPE).and_then(|()| copy.flush()).map_err(Fault::Temporary)?;
    Ok(copy)
}

/// The name of a relocation table that is not empty, if there is one.
fn relocations<'d, H, R>(data: R) -> Result<Option<&'static str>>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let damaged =
        |error: object::Error| Fault::refused(format!("the ELF is damaged: {error}; link it again"));
    let header = H::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    for program in header.program_headers(endian, data).map_err(damaged)? {
        if program.p_type(endian) != elf::PT_DYNAMIC {
            continue;
        }
        let size: u64 = program.p_filesz(endian).into();
        if size > MAX_DYNAMIC {
            return Err(Fault::refused(format!(
                "its dynamic section has {size} bytes: it is a program for Linux, not a firmware"
            )));
        }
        let entries = program.dynamic(endian, data).map_err(damaged)?.unwrap_or_default();
        let size = |tag| {
            let entry = entries.iter().find(|entry| entry.d_tag(endian) == tag);
            entry.map_or(0, |entry| entry.d_val(endian).into())
        };
        let found = TABLES.iter().find(|(tag, _)| size(*tag) > 0);
        if let Some((_, table)) = found {
            return Ok(Some(table));
        }
    }
    Ok(None)
}
