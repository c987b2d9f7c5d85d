//! Where a made ELF comes from: a note in it that names the format and the digest of the file it was made of.
//!
//! The note is in a section of its own, `.note.micrun.origin`, which is not loaded. Its owner is `micrun`, its
//! type 2, its descriptor a text such as `uf2 sha256:...` (`docs/FIRMWARE.md`, "From other formats").

use std::fmt;
use std::io::{Read, Seek};

use micrun_firmware::elf::EXIT_NOTE_OWNER;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef};

/// The section's name.
pub(crate) const SECTION: &[u8] = b".note.micrun.origin";
/// The note's owner, which it shares with the note of the exit record.
const OWNER: &str = EXIT_NOTE_OWNER;
/// The note's type.
const TYPE: u32 = 2;
/// The longest text that is read.
const MAX_TEXT: u64 = 256;
/// The most sections that are looked at; micrun-firmware takes no more.
const MAX_SECTIONS: u32 = 4096;

/// A format and the digest of a file in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `intel-hex`, `uf2` or `binary`.
    pub(crate) format: &'static str,
    /// `sha256:...` of the file.
    pub(crate) digest: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.format, self.digest)
    }
}

impl Origin {
    /// The note's bytes, for a little-endian ELF.
    pub(crate) fn to_note(&self) -> Vec<u8> {
        let text = self.to_string();
        let mut note = Vec::new();
        let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
        note.extend(number(OWNER.len() + 1));
        note.extend(number(text.len()));
        note.extend(TYPE.to_le_bytes());
        for part in [format!("{OWNER}\0").as_bytes(), text.as_bytes()] {
            note.extend(part);
            note.resize(note.len().next_multiple_of(4), 0);
        }
        note
    }
}

/// The text of the note in an ELF file that has been checked, if there is one.
pub(crate) fn read(file: impl Read + Seek) -> Option<String> {
    let cache = ReadCache::new(file);
    find::<FileHeader64<Endianness>, _>(&cache).or_else(|| find::<FileHeader32<Endianness>, _>(&cache))
}

fn find<'d, H: FileHeader<Endian = Endianness>, R: ReadRef<'d>>(data: R) -> Option<String> {
    let header = H::parse(data).ok()?;
    let endian = header.endian().ok()?;
    if header.shnum(endian, data).ok()? > MAX_SECTIONS {
        return None;
    }
    let sections = header.section_headers(endian, data).ok()?;
    let names = header.section_strings(endian, data, sections).ok()?;
    let section = sections.iter().find(|section| section.name(endian, names) == Ok(SECTION))?;
    if section.sh_size(endian).into() > MAX_TEXT + 32 {
        return None;
    }
    let note = section.notes(endian, data).ok()??.next().ok()??;
    let ours = note.name() == OWNER.as_bytes() && note.n_type(endian).0 == TYPE;
    let text = str::from_utf8(note.desc()).ok()?;
    (ours && !text.chars().any(char::is_control)).then(|| text.to_owned())
}
