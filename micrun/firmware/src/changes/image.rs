//! A firmware as what it loads: an ELF's segments, or a raw binary at its address.

use std::io::{self, Read, Seek, SeekFrom};

use crate::elf::{self, ElfInfo, Requirements};
use crate::{Error, MAX_FIRMWARE_SIZE, Result};

/// A firmware that can be compared with another.
#[derive(Debug)]
pub struct Image<R> {
    pub(super) reader: R,
    pub(super) entry: u64,
    segments: Vec<Segment>,
}

/// What is loaded at one address. All numbers are in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins in the file.
    pub offset: u64,
    /// Where it is loaded.
    pub paddr: u64,
    /// What the file has of it.
    pub filesz: u64,
    /// What it takes in memory.
    pub memsz: u64,
}

/// Contents that both firmwares load at one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) paddr: u64,
    pub(super) size: u64,
    /// Offset in the base.
    pub(super) base: u64,
    /// Offset in the result.
    pub(super) result: u64,
}

impl<R: Read + Seek> Image<R> {
    /// An ELF. It must pass the checks that every firmware passes.
    pub fn elf(mut reader: R) -> Result<Self> {
        let info = ElfInfo::from_reader(&mut reader)?;
        elf::check(&info, &Requirements::default())?;
        let segment = |it: &elf::Segment| Segment {
            offset: it.offset,
            paddr: it.paddr,
            filesz: it.filesz,
            memsz: it.memsz,
        };
        let mut segments: Vec<_> = info.segments.iter().filter(|it| it.memsz > 0).map(segment).collect();
        segments.sort_by_key(|it| it.paddr);
        Ok(Self { reader, entry: info.entry, segments })
    }

    /// A raw binary that is loaded at `address` and begins there.
    pub fn raw(mut reader: R, address: u64) -> Result<Self> {
        let size = reader.seek(SeekFrom::End(0)).map_err(unreadable)?;
        if size > MAX_FIRMWARE_SIZE || address.checked_add(size).is_none() {
            return Err(Error::elf(elf::Fault::TooLarge { size, limit: MAX_FIRMWARE_SIZE }));
        }
        let segments = vec![Segment { offset: 0, paddr: address, filesz: size, memsz: size }];
        Ok(Self { reader, entry: address, segments })
    }

    /// What is loaded, by address.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

/// The contents to compare, by address. An error says how the layouts differ.
pub(super) fn places<B, R>(base: &Image<B>, result: &Image<R>) -> Result<Vec<Place>> {
    let (old, new) = (&base.segments, &result.segments);
    if old.len() != new.len() {
        return Err(differ(format!("one loads {} segments, the other {}", old.len(), new.len())));
    }
    let place = |(old, new): (&Segment, &Segment)| {
        if old.paddr != new.paddr {
            return Err(differ(format!(
                "the segment at {:#x} of one is at {:#x} in the other",
                old.paddr, new.paddr
            )));
        }
        let sizes = [("the file", old.filesz, new.filesz), ("memory", old.memsz, new.memsz)];
        match sizes.iter().find(|(_, old, new)| old != new) {
            Some((place, before, after)) => Err(differ(format!(
                "the segment at {:#x} has {before} bytes in {place} of one and {after} in the other",
                old.paddr
            ))),
            None => Ok(Place { paddr: old.paddr, size: old.filesz, base: old.offset, result: new.offset }),
        }
    };
    old.iter().zip(new).map(place).collect()
}

fn differ(reason: String) -> Error {
    Error::Layout { reason }
}

pub(super) fn unreadable(error: io::Error) -> Error {
    Error::io("read", "the firmware", error)
}
