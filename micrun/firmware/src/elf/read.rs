//! From the bytes of a file to [`ElfInfo`], by the low-level readers of `object`. Every count is bounded
//! before it is believed, because `object` keeps what it has read.

use std::io::{Read, Seek, SeekFrom};

use object::elf::{self, FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef, U32};

use super::attributes;
use super::processor::{self, Family, Processor};
use super::{
    Class, EXIT_NOTE_OWNER, EXIT_NOTE_TYPE, ElfInfo, Endian, Fault, FileRange, Kind, Machine, Segment,
};
use crate::{Error, MAX_FIRMWARE_SIZE, Result};

const MAX_PROGRAM_HEADERS: u64 = 256;
pub(super) const MAX_SECTIONS: u64 = 4096;
const MAX_NOTES: u64 = 64 << 10;
/// Build attributes are a few dozen bytes.
const MAX_ATTRIBUTES: u64 = 16 << 10;
const RESOURCE_TABLE: &[u8] = b".resource_table";

pub(super) fn read(mut reader: impl Read + Seek) -> Result<ElfInfo> {
    let io = |error| Error::io("read", "the firmware", error);
    let size = reader.seek(SeekFrom::End(0)).map_err(io)?;
    if size > MAX_FIRMWARE_SIZE {
        return Err(Error::elf(Fault::TooLarge { size, limit: MAX_FIRMWARE_SIZE }));
    }
    // Read apart from the headers, so that a file of another kind is told from a damaged one.
    let mut ident = Vec::new();
    reader.seek(SeekFrom::Start(0)).map_err(io)?;
    reader.by_ref().take(16).read_to_end(&mut ident).map_err(io)?;
    if !ident.starts_with(&elf::ELFMAG) {
        return Err(Error::elf(Fault::NotElf { found: first_bytes(&ident) }));
    }
    let cache = ReadCache::new(reader);
    let info = match ident.get(4) {
        Some(1) => headers::<FileHeader32<Endianness>, _>(&cache, Class::Elf32, size),
        Some(2) => headers::<FileHeader64<Endianness>, _>(&cache, Class::Elf64, size),
        _ => Err(damaged("its class is neither 32 nor 64 bits")),
    };
    info.map_err(Error::elf)
}

fn first_bytes(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "nothing, the file is empty".into();
    }
    let text: Vec<String> = bytes.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    text.join(" ")
}

fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged { what: what.into() }
}

/// Turns `object`'s reason into ours.
pub(super) fn bad<E: std::fmt::Display>(error: E) -> Fault {
    damaged(error.to_string())
}

pub(super) fn bounded(what: &'static str, count: u64, limit: u64) -> Result<(), Fault> {
    if count > limit { Err(Fault::TooMany { what, count, limit }) } else { Ok(()) }
}

fn headers<'d, H, R>(data: R, class: Class, file_size: u64) -> Result<ElfInfo, Fault>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    let header = H::parse(data).map_err(bad)?;
    let endian = header.endian().map_err(bad)?;
    bounded("program headers", header.phnum(endian, data).map_err(bad)?.into(), MAX_PROGRAM_HEADERS)?;
    let mut info = ElfInfo {
        class,
        endian: if header.is_little_endian() { Endian::Little } else { Endian::Big },
        machine: match header.e_machine(endian) {
            elf::EM_AARCH64 => Machine::Aarch64,
            elf::EM_ARM => Machine::Arm,
            elf::EM_RISCV => Machine::Riscv,
            other => Machine::Other(other.0),
        },
        processor: None,
        stack: None,
        kind: match header.e_type(endian) {
            elf::ET_EXEC => Kind::Executable,
            elf::ET_DYN => Kind::Dynamic,
            elf::ET_REL => Kind::Relocatable,
            other => Kind::Other(other.0),
        },
        entry: header.e_entry(endian).into(),
        segments: Vec::new(),
        has_resource_table: false,
        exit_record: None,
        has_interpreter: false,
        names: Vec::new(),
        file_size,
    };
    for program in header.program_headers(endian, data).map_err(bad)? {
        match program.p_type(endian) {
            elf::PT_LOAD => info.segments.push(segment(program, endian)),
            elf::PT_INTERP => info.has_interpreter = true,
            elf::PT_NOTE if info.exit_record.is_none() => {
                info.exit_record = exit_record(program, endian, data)?;
            }
            _ => {}
        }
    }
    let attributes = sections(header, endian, data, &mut info)?;
    info.processor = attributes.or_else(|| unnamed(&info));
    // Attributes need not name the profile, and 32-bit Arm is most things without one.
    if let Some(Processor { family: family @ (Family::A32 | Family::M), .. }) = &mut info.processor
        && let Some(stack) = first_stack(&info.segments, endian, data)
    {
        *family = Family::M;
        info.stack = Some(stack);
    }
    Ok(info)
}

fn segment<P: ProgramHeader<Endian = Endianness>>(program: &P, endian: Endianness) -> Segment {
    Segment {
        offset: program.p_offset(endian).into(),
        paddr: program.p_paddr(endian).into(),
        vaddr: program.p_vaddr(endian).into(),
        filesz: program.p_filesz(endian).into(),
        memsz: program.p_memsz(endian).into(),
        flags: program.p_flags(endian).0,
    }
}

/// The address in our note, if the segment holds it. Notes of others are passed over, damaged ones end the
/// search: they are their owner's business.
fn exit_record<'d, P, R>(program: &P, endian: Endianness, data: R) -> Result<Option<u64>, Fault>
where
    P: ProgramHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    bounded("bytes of notes", program.p_filesz(endian).into(), MAX_NOTES)?;
    let Some(mut notes) = program.notes(endian, data).map_err(bad)? else { return Ok(None) };
    while let Ok(Some(note)) = notes.next() {
        if note.name() == EXIT_NOTE_OWNER.as_bytes() && note.n_type(endian).0 == EXIT_NOTE_TYPE {
            let address = <[u8; 8]>::try_from(note.desc())
                .map_err(|_| Fault::BadExitNote { size: note.desc().len() })?;
            return Ok(Some(u64::from_le_bytes(address)));
        }
    }
    Ok(None)
}

/// Reads what sections say: whether there is a resource table, where names are, which processor it is for.
fn sections<'d, H, R>(
    header: &H,
    endian: Endianness,
    data: R,
    info: &mut ElfInfo,
) -> Result<Option<Processor>, Fault>
where
    H: FileHeader<Endian = Endianness>,
    R: ReadRef<'d>,
{
    bounded("sections", header.shnum(endian, data).map_err(bad)?.into(), MAX_SECTIONS)?;
    let sections = header.section_headers(endian, data).map_err(bad)?;
    let mut processor = None;
    let Ok(names) = header.section_strings(endian, data, sections) else { return Ok(None) };
    for section in sections {
        // What has no contents in the file, or contents beyond it, is not there to a loader either.
        let range = section.file_range(endian).filter(|(offset, size)| {
            *size > 0 && offset.checked_add(*size).is_some_and(|end| end <= info.file_size)
        });
        let Some((offset, size)) = range else { continue };
        if section.sh_type(endian) == elf::SHT_STRTAB {
            info.names.push(FileRange { offset, size });
        }
        let name = section.name(endian, names).unwrap_or_default();
        info.has_resource_table |= name == RESOURCE_TABLE;
        if processor.is_none() && size <= MAX_ATTRIBUTES {
            let contents = || data.read_bytes_at(offset, size).ok();
            processor = match (name, info.machine) {
                (b".ARM.attributes", Machine::Arm) => {
                    contents().and_then(|bytes| attributes::arm(bytes, info.endian))
                }
                (b".riscv.attributes", Machine::Riscv) => {
                    contents().and_then(|bytes| attributes::riscv(bytes, riscv(info.class)))
                }
                _ => None,
            };
        }
    }
    Ok(processor)
}

/// The processor of a file that has no attributes of it.
fn unnamed(info: &ElfInfo) -> Option<Processor> {
    Some(Processor::new(match info.machine {
        Machine::Aarch64 => Family::A64,
        Machine::Arm => Family::A32,
        Machine::Riscv => riscv(info.class),
        Machine::Other(_) => return None,
    }))
}

const fn riscv(class: Class) -> Family {
    match class {
        Class::Elf32 => Family::Riscv32,
        Class::Elf64 => Family::Riscv64,
    }
}

/// The first stack of a Cortex-M, if the lowest segment begins with a vector table.
fn first_stack<'d, R: ReadRef<'d>>(segments: &[Segment], endian: Endianness, data: R) -> Option<u64> {
    let first = segments.iter().filter(|it| it.filesz >= 8).min_by_key(|it| it.paddr)?;
    let words = data.read_slice_at::<U32<Endianness>>(first.offset, 2).ok()?;
    let in_code = |address: u64| {
        segments.iter().any(|it| it.is_executable() && address >= it.vaddr && address - it.vaddr < it.filesz)
    };
    let (stack, reset) = (words[0].get(endian), words[1].get(endian));
    processor::begins_with_vectors(stack, reset, in_code).then(|| stack.into())
}
