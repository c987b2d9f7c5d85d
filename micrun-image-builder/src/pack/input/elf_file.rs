//! The ELF that is made of an input without one: a segment for each range of memory, and a note that says where
//! it comes from. The same input gives the same bytes.

use std::io::{Read, Seek, Write};

use object::Endianness;
use object::elf;
use object::write::StreamingBuffer;
use object::write::elf::{AttributesWriter, FileHeader, ProgramHeader, SectionHeader, Writer};

use super::arch::Arch;
use super::fault::{Fault, Result};
use super::memory::Contents;
use super::origin::{self, Origin};

/// Alignment of a segment's contents in the file.
const ALIGN: u64 = 8;
/// `Tag_File` and `Tag_CPU_arch_profile` of the vendor `aeabi` (Arm IHI 0045).
const TAG_FILE: elf::AttributeTag = elf::Tag_File;
const TAG_CPU_ARCH_PROFILE: u64 = 7;

/// A section that is not loaded.
struct Section {
    name: &'static [u8],
    kind: elf::SectionType,
    content: Vec<u8>,
}

/// Writes the ELF of a firmware that starts at `entry`.
pub(crate) fn write(
    memory: &mut Contents<impl Read + Seek>,
    arch: Arch,
    entry: u64,
    origin: &Origin,
    out: impl Write,
) -> Result<()> {
    let mut out = StreamingBuffer::new(out);
    let mut writer = Writer::new(Endianness::Little, arch.is_64(), &mut out);
    let sections = sections(arch, origin);
    let lengths: Vec<_> = memory.segments.iter().map(|it| (it.address(), it.length())).collect();

    writer.reserve_file_header();
    writer.reserve_program_headers(u32::try_from(lengths.len()).unwrap_or(u32::MAX));
    let offsets: Vec<_> = lengths.iter().map(|(_, length)| writer.reserve(*length, ALIGN)).collect();
    let places: Vec<_> = sections.iter().map(|it| writer.reserve(it.content.len() as u64, 4)).collect();
    let names: Vec<_> = sections.iter().map(|it| writer.add_section_name(it.name)).collect();
    for _ in &sections {
        writer.reserve_section_index();
    }
    writer.reserve_shstrtab_section_index();
    writer.reserve_shstrtab().map_err(|error| unwritable(&error))?;
    writer.reserve_section_headers();

    let header = FileHeader {
        e_type: elf::ET_EXEC,
        e_machine: arch.machine(),
        e_entry: entry,
        e_flags: if arch.machine() == elf::EM_ARM { elf::EF_ARM_EABI_VER5 } else { elf::FileFlags(0) },
        ..FileHeader::default()
    };
    writer.write_file_header(&header).map_err(|error| unwritable(&error))?;
    writer.write_align_program_headers();
    for ((address, length), offset) in lengths.iter().zip(&offsets) {
        writer.write_program_header(&ProgramHeader {
            p_type: elf::PT_LOAD,
            // Which parts are code is not known, nor which are constant.
            p_flags: elf::PF_R | elf::PF_W | elf::PF_X,
            p_offset: *offset,
            p_vaddr: *address,
            p_paddr: *address,
            p_filesz: *length,
            p_memsz: *length,
            p_align: 1,
        });
    }
    for (index, offset) in offsets.iter().enumerate() {
        writer.pad_until(*offset);
        memory.read(index, |bytes| writer.write(bytes))?;
    }
    for (section, place) in sections.iter().zip(&places) {
        writer.pad_until(*place);
        writer.write(&section.content);
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    for ((section, place), name) in sections.iter().zip(&places).zip(&names) {
        let sh_name = writer.section_name_offset(Some(*name));
        writer.write_section_header(&SectionHeader {
            sh_name,
            sh_type: section.kind,
            sh_offset: *place,
            sh_size: section.content.len() as u64,
            sh_addralign: 4,
            ..SectionHeader::default()
        });
    }
    writer.write_shstrtab_section_header();
    out.flush().map_err(Fault::Temporary)
}

fn unwritable(error: &object::write::Error) -> Fault {
    Fault::refused(format!("no ELF can be made of it: {error}"))
}

fn sections(arch: Arch, origin: &Origin) -> Vec<Section> {
    let note = Section { name: origin::SECTION, kind: elf::SHT_NOTE, content: origin.to_note() };
    let attributes = arch.profile().map(|profile| {
        let mut writer = AttributesWriter::new(Endianness::Little);
        writer.start_subsection(b"aeabi");
        writer.start_subsubsection(TAG_FILE);
        writer.write_attribute_tag(TAG_CPU_ARCH_PROFILE);
        writer.write_attribute_integer(profile.into());
        writer.end_subsubsection();
        writer.end_subsection();
        Section { name: b".ARM.attributes", kind: elf::SHT_ARM_ATTRIBUTES, content: writer.data() }
    });
    [note].into_iter().chain(attributes).collect()
}
