//! Which bytes in memory tell one firmware from another, for a record and for whoever patches firmware that runs.
//!
//! Only firmwares that load the same segments can be compared: then each byte in memory has one place in either file.
//! Ranges are canonical: the same two firmwares give the same ranges.

mod image;
mod scan;

use std::io::{Read, Seek, SeekFrom};

use serde::{Deserialize, Serialize};

pub use image::{Image, Segment};

use crate::record::Address;
use crate::{Error, Result, Sha256Digest};

/// Fewer equal bytes than these between two changes do not part them: a range costs about as much by itself.
pub const GAP: u64 = 64;

/// The most ranges. Where there were more, the gap is doubled until there are not.
pub const MAX_RANGES: usize = 4096;

/// What changes in memory from one firmware to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The entry points before and after, if they differ. They matter only to a firmware that starts.
    pub entry: Option<(u64, u64)>,
    /// In the order of their addresses. None touches another, and none passes the end of its segment's contents.
    pub ranges: Vec<ByteRange>,
}

/// Bytes that are loaded one after the other.
// The fields stand in the order of their names: records are canonical JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByteRange {
    /// Where they are in the file of the result, in bytes.
    pub offset: u64,
    /// Where the first is loaded.
    pub paddr: Address,
    /// Their digest in the result.
    pub sha256_after: Sha256Digest,
    /// Their digest in the base.
    pub sha256_before: Sha256Digest,
    /// How many they are.
    pub size: u64,
}

impl Changes {
    /// Compares two firmwares. [`Error::Layout`] if they do not load the same segments.
    ///
    /// Both are read from their beginning to their end, and once more where they differ. Neither is kept in memory.
    pub fn between<B: Read + Seek, R: Read + Seek>(
        base: &mut Image<B>,
        result: &mut Image<R>,
    ) -> Result<Self> {
        let places = image::places(base, result)?;
        let spans = scan::spans(base, result, &places)?;
        let entry = (base.entry != result.entry).then_some((base.entry, result.entry));
        let range = |span: &scan::Span| -> Result<ByteRange> {
            let place = places[span.place];
            Ok(ByteRange {
                offset: place.result + span.start,
                paddr: Address(place.paddr + span.start),
                sha256_after: result.digest(place.result + span.start, span.size())?,
                sha256_before: base.digest(place.base + span.start, span.size())?,
                size: span.size(),
            })
        };
        Ok(Self { entry, ranges: spans.iter().map(range).collect::<Result<_>>()? })
    }

    /// How many bytes change.
    pub fn size(&self) -> u64 {
        self.ranges.iter().map(|range| range.size).sum()
    }
}

impl<R: Read + Seek> Image<R> {
    fn digest(&mut self, offset: u64, size: u64) -> Result<Sha256Digest> {
        let mut seen = std::io::sink();
        let copied = self
            .reader
            .seek(SeekFrom::Start(offset))
            .and_then(|_| Sha256Digest::copy(&mut self.reader.by_ref().take(size), &mut seen));
        match copied.map_err(image::unreadable)? {
            (digest, read) if read == size => Ok(digest),
            _ => Err(Error::Changed { path: "the firmware".into() }),
        }
    }
}
