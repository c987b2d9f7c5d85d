//! Two firmwares, compared by what they load.

use std::collections::BTreeMap;
use std::fs::File;

use micrun_firmware::changes::{ByteRange, Changes, Image};
use micrun_firmware::elf::Segment;
use micrun_firmware::record::ElfContent;
use micrun_firmware::{Error as FirmwareError, Firmware, Sha256Digest};
use serde::Serialize;

use super::pairs::{self, Pair};
use super::symbols::{self, Symbols};
use crate::error::{Error, Result};

/// A firmware as it runs: a delta is put together.
pub(super) struct Whole {
    file: File,
    pub(super) firmware: Firmware,
    sha256: Sha256Digest,
}

impl Whole {
    pub(super) fn of(firmware: Firmware) -> Result<Self> {
        let temporary = |source| Error::Write { path: std::env::temp_dir(), source };
        let file = tempfile::tempfile().map_err(temporary)?;
        let sha256 = firmware.copy_to(&file)?;
        Ok(Self { file, firmware, sha256 })
    }

    /// What is seen of it from outside.
    fn facts(&self) -> BTreeMap<String, String> {
        let info = &self.firmware.elf;
        BTreeMap::from([
            ("digest".to_owned(), self.sha256.to_string()),
            ("entry".to_owned(), format!("{:#x}", info.entry)),
            ("machine".to_owned(), info.machine.to_string()),
            ("path".to_owned(), self.firmware.file.path.display().to_string()),
            ("size".to_owned(), info.file_size.to_string()),
        ])
    }

    /// Its segments, by the address where each is loaded.
    fn segments(&self) -> Result<BTreeMap<String, String>> {
        let mut file = &self.file;
        let content = ElfContent::read(&mut file, &self.firmware.elf)?;
        let mut segments = BTreeMap::new();
        for (segment, content) in self.firmware.elf.segments.iter().zip(&content.segments) {
            let Segment { paddr, filesz, memsz, flags, .. } = segment;
            let line = format!("{filesz} bytes, {memsz} in memory, flags {flags}, {}", content.sha256);
            segments.insert(format!("{paddr:#010x}"), line);
        }
        Ok(segments)
    }
}

/// What tells two firmwares apart.
#[derive(Serialize)]
pub(super) struct Comparison {
    /// Null if there is one firmware for all boards.
    pub(super) board: Option<String>,
    pub(super) facts: Vec<Pair>,
    pub(super) segments: Vec<Pair>,
    /// Ranges of memory that change. Null if the segments are not the same.
    pub(super) ranges: Option<Vec<ByteRange>>,
    /// Why there are none.
    pub(super) layout: Option<String>,
    /// Null if a firmware has no symbol table.
    pub(super) symbols: Option<Symbols>,
}

/// Compares two firmwares. `None` if they are the same file.
pub(super) fn compare(board: Option<String>, before: &Whole, after: &Whole) -> Result<Option<Comparison>> {
    if before.sha256 == after.sha256 {
        return Ok(None);
    }
    let (ranges, layout) = match ranges(before, after) {
        Ok(ranges) => (Some(ranges), None),
        Err(FirmwareError::Layout { reason }) => (None, Some(reason)),
        Err(other) => return Err(other.into()),
    };
    Ok(Some(Comparison {
        board,
        facts: pairs::differing(&before.facts(), &after.facts()),
        segments: pairs::differing(&before.segments()?, &after.segments()?),
        ranges,
        layout,
        symbols: symbols::compare((&before.file, &before.firmware.elf), (&after.file, &after.firmware.elf)),
    }))
}

fn ranges(before: &Whole, after: &Whole) -> Result<Vec<ByteRange>, FirmwareError> {
    let (mut old, mut new) = (Image::elf(&before.file)?, Image::elf(&after.file)?);
    Ok(Changes::between(&mut old, &mut new)?.ranges)
}
