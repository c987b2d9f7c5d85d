//! What a record says of one file.

use std::io::{Read, Seek};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::pass::{self, Pass};
use crate::changes::{ByteRange, MAX_RANGES};
use crate::{ElfInfo, Error, MAX_FIRMWARE_SIZE, Result, Sha256Digest};

/// The largest whole number that every reader of JSON keeps (RFC 8259, section 6).
const MAX_NUMBER: u64 = (1 << 53) - 1;

/// What a layer does to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file is new.
    Add(Content),
    /// The file was there, with this digest, and is now another.
    Replace {
        /// The digest of the lower layers' file.
        before: Sha256Digest,
        /// The layer's file.
        content: Content,
    },
    /// The file was there, with this digest, and is removed.
    Delete {
        /// The digest of the lower layers' file.
        before: Sha256Digest,
    },
}

impl Change {
    /// What makes a file of this digest one of this content; `None` if there is no file before or after.
    pub fn between(before: Option<Sha256Digest>, after: Option<Content>) -> Option<Self> {
        match (before, after) {
            (None, Some(content)) => Some(Self::Add(content)),
            (Some(before), Some(content)) => Some(Self::Replace { before, content }),
            (Some(before), None) => Some(Self::Delete { before }),
            (None, None) => None,
        }
    }
}

/// A regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Permission bits, at most 0o7777.
    pub mode: u32,
    /// The digest of the whole file.
    pub sha256: Sha256Digest,
    /// Its size in bytes.
    pub size: u64,
    /// If it is a firmware, what is loaded where.
    pub elf: Option<ElfContent>,
    /// If it takes a firmware's place, which bytes in memory change: those of a replaced firmware against the one
    /// below, those of a [`crate::delta`] against its base. `None` if that cannot be said by ranges.
    pub changes: Option<Vec<ByteRange>>,
}

/// What an ELF file loads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ElfContent {
    /// `ELF32` or `ELF64`.
    pub class: String,
    /// Virtual address of the first instruction.
    pub entry: Address,
    /// `aarch64`, `arm` or `riscv`.
    pub machine: String,
    /// The `PT_LOAD` segments, in the order of the program headers.
    pub segments: Vec<SegmentContent>,
}

/// A segment as it is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentContent {
    /// Bytes in the file.
    pub filesz: u64,
    /// `p_flags`.
    pub flags: u32,
    /// Bytes in memory.
    pub memsz: u64,
    /// Physical address.
    pub paddr: Address,
    /// The digest of the bytes in the file.
    pub sha256: Sha256Digest,
    /// Virtual address.
    pub vaddr: Address,
}

impl Change {
    /// The file after the change; `None` when it is deleted.
    pub const fn after(&self) -> Option<&Content> {
        match self {
            Self::Add(content) | Self::Replace { content, .. } => Some(content),
            Self::Delete { .. } => None,
        }
    }

    /// The digest of the file before the change; `None` when it was not there.
    pub const fn before(&self) -> Option<Sha256Digest> {
        match self {
            Self::Add(_) => None,
            Self::Replace { before, .. } | Self::Delete { before } => Some(*before),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Some(content) = self.after() else { return Ok(()) };
        if content.mode > 0o7777 {
            return Err(format!("the mode {:o} has more than permission bits", content.mode));
        }
        if let Some(changes) = &content.changes {
            check_ranges(changes)?;
        }
        let segments = content.elf.iter().flat_map(|elf| &elf.segments);
        let numbers = segments.flat_map(|segment| [segment.filesz, segment.memsz]).chain([content.size]);
        match numbers.into_iter().find(|number| *number > MAX_NUMBER) {
            Some(number) => Err(format!("the size {number} is not possible")),
            None => Ok(()),
        }
    }
}

/// Ranges have bytes, are in the order of their addresses, and none touches another.
fn check_ranges(ranges: &[ByteRange]) -> Result<(), String> {
    if ranges.len() > MAX_RANGES {
        return Err(format!("it has {} changes, more than the {MAX_RANGES} allowed", ranges.len()));
    }
    let mut free = 0;
    for range in ranges {
        let Address(start) = range.paddr;
        let end = start.checked_add(range.size).filter(|_| range.size > 0 && start >= free);
        let fits = |number: u64| number <= MAX_FIRMWARE_SIZE;
        free = match end {
            Some(end) if fits(range.size) && fits(range.offset) => end.saturating_add(1),
            _ => return Err(format!("the change at {} is not possible", range.paddr)),
        };
    }
    Ok(())
}

impl Content {
    /// Describes a file that is no firmware.
    pub fn of(bytes: &[u8], mode: u32) -> Self {
        Self { mode, sha256: Sha256Digest::of(bytes), size: bytes.len() as u64, elf: None, changes: None }
    }

    /// Describes a firmware by reading it once, in little memory.
    /// `info` is what [`ElfInfo::from_reader`] says of it, checked by [`crate::elf::check`].
    pub fn of_firmware(reader: &mut (impl Read + Seek), info: &ElfInfo, mode: u32) -> Result<Self> {
        reader.rewind().map_err(|error| Error::io("read", "the firmware", error))?;
        let Pass { sha256, size, segments } = Pass::over(reader, &info.segments)?;
        Ok(Self { mode, sha256, size, elf: Some(ElfContent::of(info, segments)), changes: None })
    }

    /// What tells `actual` from this, in words.
    pub(super) fn difference(&self, actual: &Self) -> Option<String> {
        let differ = |what: &str, recorded: String, actual: String| {
            (recorded != actual).then(|| format!("its {what} is {actual}, but the record says {recorded}"))
        };
        differ("sha256", self.sha256.to_string(), actual.sha256.to_string())
            .or_else(|| differ("size", self.size.to_string(), actual.size.to_string()))
            .or_else(|| differ("mode", format!("{:04o}", self.mode), format!("{:04o}", actual.mode)))
            .or_else(|| (self.elf != actual.elf).then(|| "its segments are not the record's".into()))
    }
}

impl ElfContent {
    /// Digests the segments of a firmware and reads nothing else. Only a checked `info` bounds what is read.
    pub fn read(reader: &mut (impl Read + Seek), info: &ElfInfo) -> Result<Self> {
        let segments: Result<_> = info.segments.iter().map(|segment| pass::digest(reader, segment)).collect();
        Ok(Self::of(info, segments?))
    }

    fn of(info: &ElfInfo, segments: Vec<SegmentContent>) -> Self {
        Self {
            class: info.class.to_string(),
            entry: Address(info.entry),
            machine: info.machine.to_string(),
            segments,
        }
    }
}
