//! Position-independent firmware (`ET_DYN`, as `-static-pie` links it). Nothing that starts firmware relocates
//! it, so it runs only where it was linked, and only if it needs no relocation there.
//!
//! A relative relocation adds how far the firmware is from where it was linked, here nothing. In `DT_REL` and
//! `DT_RELR` the value to add to is at the place itself, so such tables may stay as they are: U-Boot applies its own
//! when it moves to RAM. With `DT_RELA` the value is in the table, and the place is not filled yet.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use micrun_firmware::elf::{Class, ElfInfo, Endian};
use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, Rel};
use object::{Endianness, ReadCache, ReadRef};

use super::fault::{Fault, Result};

/// The largest dynamic section that is read, in bytes. Firmware has one of a few hundred, if any.
const MAX_DYNAMIC: u64 = 64 << 10;
/// Where `e_type` is in the header of either class.
const E_TYPE: u64 = 16;

/// The largest table of relocations that is read, in bytes. U-Boot's has 83 kB.
const MAX_TABLE: u64 = 4 << 20;

/// Tables that somebody has to apply, by the tag of their size.
const UNAPPLIED: [(elf::DynamicTag, &str); 2] =
    [(elf::DT_RELASZ, "DT_RELA"), (elf::DT_PLTRELSZ, "DT_JMPREL")];
/// Relative relocations, of the processors that firmware has.
const RELATIVE: [(elf::Machine, elf::RelocationType); 3] = [
    (elf::EM_ARM, elf::R_ARM_RELATIVE),
    (elf::EM_AARCH64, elf::R_AARCH64_RELATIVE),
    (elf::EM_RISCV, elf::R_RISCV_RELATIVE),
];

/// A copy of the file in which it is linked to fixed addresses (`ET_EXEC`), if that is true of it.
pub(crate) fn fixed(file: &File, info: &ElfInfo, mut copy: File) -> Result<File> {
    let needed = match info.class {
        Class::Elf32 => relocations::<FileHeader32<Endianness>, _>(&ReadCache::new(file)),
        Class::Elf64 => relocations::<FileHeader64<Endianness>, _>(&ReadCache::new(file)),
    }?;
    if let Some(table) = needed {
        return Err(Fault::refused(format!(
            "the ELF is position-independent (ET_DYN) and needs relocations ({table}), which nobody applies before \
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

/// The name of a relocation table that has to be applied although the file stays where it was linked, if there is one.
fn relocations<'d, H, R>(data: R) -> Result<Option<&'static str>>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data).map_err(damaged)?;
    let endian = header.endian().map_err(damaged)?;
    let programs = header.program_headers(endian, data).map_err(damaged)?;
    for program in programs.iter().filter(|program| program.p_type(endian) == elf::PT_DYNAMIC) {
        let size: u64 = program.p_filesz(endian).into();
        if size > MAX_DYNAMIC {
            return Err(Fault::refused(format!(
                "its dynamic section has {size} bytes: it is a program for Linux, not a firmware"
            )));
        }
        let entries = program.dynamic(endian, data).map_err(damaged)?.unwrap_or_default();
        let value = |tag| {
            let entry = entries.iter().find(|entry| entry.d_tag(endian) == tag);
            entry.map_or(0, |entry| entry.d_val(endian).into())
        };
        if let Some((_, table)) = UNAPPLIED.iter().find(|(tag, _)| value(*tag) > 0) {
            return Ok(Some(table));
        }
        let table = Table { address: value(elf::DT_REL), size: value(elf::DT_RELSZ) };
        if !table.is_relative(header, endian, data)? {
            return Ok(Some("DT_REL"));
        }
    }
    Ok(None)
}

/// Where a `DT_REL` is.
struct Table {
    address: u64,
    size: u64,
}

impl Table {
    /// Whether it has relative relocations alone. One that cannot be read has others.
    fn is_relative<'d, H, R>(&self, header: &H, endian: Endianness, data: R) -> Result<bool>
    where
        H: FileHeader<Endian = Endianness>,
        R: ReadRef<'d>,
    {
        if self.size == 0 {
            return Ok(true);
        }
        let programs = header.program_headers(endian, data).map_err(damaged)?;
        let offset = programs.iter().filter(|it| it.p_type(endian) == elf::PT_LOAD).find_map(|it| {
            let into = self.address.checked_sub(it.p_vaddr(endian).into())?;
            let end = into.checked_add(self.size)?;
            (end <= it.p_filesz(endian).into()).then(|| it.p_offset(endian).into().checked_add(into))?
        });
        let count = self.size / size_of::<H::Rel>() as u64;
        let Some(entries) = offset
            .filter(|_| self.size <= MAX_TABLE)
            .and_then(|offset| data.read_slice_at::<H::Rel>(offset, usize::try_from(count).ok()?).ok())
        else {
            return Ok(false);
        };
        let machine = header.e_machine(endian);
        Ok(entries.iter().all(|entry| RELATIVE.contains(&(machine, entry.r_type(endian)))))
    }
}

fn damaged(error: object::Error) -> Fault {
    Fault::refused(format!("the ELF is damaged: {error}; link it again"))
}
