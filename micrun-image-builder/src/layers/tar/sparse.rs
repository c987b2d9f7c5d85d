//! Files with holes: the maps of GNU tar's four formats, and reading by them.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::super::malformed;
use super::header::{Format, Header};
use super::numbers::{decimal, numeric};
use super::pax::{Records, SPARSE_MAP};
use super::{BLOCK, Counted, MOST_SPECIAL};

/// A range of the file that stands in the tar: offset and length.
type Data = (i64, i64);

/// Offset and length in a map of GNU's own.
const PAIR: usize = 24;

/// The map of GNU's own format, in the header and the blocks that `next` reads.
pub(super) fn old_gnu(
    header: &mut Header,
    mut next: impl FnMut() -> io::Result<[u8; BLOCK]>,
) -> io::Result<Vec<Data>> {
    if header.format != Format::Gnu {
        return Err(bad());
    }
    header.size = numeric(&header.block[483..495])?;
    let mut map = Vec::new();
    let mut area = header.block[386..483].to_vec();
    let mut total = area.len();
    while total as u64 <= MOST_SPECIAL {
        let pairs = area.len() / PAIR;
        for pair in area.chunks_exact(PAIR).take(pairs).take_while(|pair| pair[0] != 0) {
            map.push((numeric(&pair[..12])?, numeric(&pair[12..])?));
        }
        if area[pairs * PAIR] == 0 {
            return Ok(map);
        }
        area = next()?.to_vec();
        total += BLOCK;
    }
    Err(bad())
}

/// Which of the formats in extended headers a file has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 0.0 and 0.1: the map is among the records.
    InRecords,
    /// 1.0: the map is before the content.
    InContent,
}

/// Whether the records make a file sparse; then its name and size are theirs.
pub(super) fn announced(header: &mut Header, records: &Records) -> io::Result<Option<Version>> {
    let text = |key: &str| records.get(key.as_bytes()).map_or(b"".as_slice(), Vec::as_slice);
    let version = match (text("GNU.sparse.major"), text("GNU.sparse.minor")) {
        (b"0", b"0" | b"1") => Version::InRecords,
        (b"1", b"0") => Version::InContent,
        (b"", b"") if records.get(SPARSE_MAP).is_some_and(|map| !map.is_empty()) => Version::InRecords,
        _ => return Ok(None),
    };
    if !text("GNU.sparse.name").is_empty() {
        header.entry.path = text("GNU.sparse.name").to_vec();
    }
    let size = Some(text("GNU.sparse.size")).filter(|it| !it.is_empty());
    let size = size.unwrap_or_else(|| text("GNU.sparse.realsize"));
    if !size.is_empty() {
        header.size = decimal(size)?;
    }
    Ok(Some(version))
}

/// The map of an extended header, or of the content that it announces.
pub(super) fn pax(version: Version, records: &Records, content: impl Read) -> io::Result<Vec<Data>> {
    match version {
        Version::InContent => in_content(content),
        Version::InRecords => {
            let count = records.get(b"GNU.sparse.numblocks".as_slice()).ok_or_else(bad)?;
            let map = records.get(SPARSE_MAP).map_or(b"".as_slice(), Vec::as_slice);
            let numbers: Vec<_> = match map {
                [] => Vec::new(),
                map => map.split(|byte| *byte == b',').collect(),
            };
            pairs(decimal(count)?, numbers.len(), numbers.into_iter())
        }
    }
}

/// Numbers in lines, in as many whole blocks as they need.
fn in_content(mut content: impl Read) -> io::Result<Vec<Data>> {
    let mut text = Vec::new();
    let mut lines = 0;
    let mut feed = |text: &mut Vec<u8>, wanted: usize| {
        while lines < wanted {
            let mut block = [0; BLOCK];
            content.read_exact(&mut block).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => bad(),
                _ => error,
            })?;
            lines += block.split(|byte| *byte == b'\n').count() - 1;
            text.extend(block);
            if text.len() as u64 > MOST_SPECIAL {
                return Err(bad());
            }
        }
        Ok(())
    };
    feed(&mut text, 1)?;
    let count = decimal(text.split(|byte| *byte == b'\n').next().unwrap_or(b""))?;
    let numbers = usize::try_from(count).ok().and_then(|count| count.checked_mul(2)).ok_or_else(bad)?;
    feed(&mut text, numbers.saturating_add(1))?;
    pairs(count, numbers, text.split(|byte| *byte == b'\n').skip(1).take(numbers))
}

fn pairs<'a>(count: i64, found: usize, mut numbers: impl Iterator<Item = &'a [u8]>) -> io::Result<Vec<Data>> {
    if usize::try_from(count).ok().and_then(|count| count.checked_mul(2)) != Some(found) {
        return Err(bad());
    }
    let mut map = Vec::new();
    while let (Some(offset), Some(length)) = (numbers.next(), numbers.next()) {
        map.push((decimal(offset)?, decimal(length)?));
    }
    Ok(map)
}

/// What is left of an entry's content: ranges that stand in the tar, and holes.
pub(super) struct Segments {
    ranges: VecDeque<Segment>,
    stored: u64,
}

#[derive(Clone, Copy)]
enum Segment {
    Stored(u64),
    Hole(u64),
}

impl Segments {
    pub(super) const fn none() -> Self {
        Self { ranges: VecDeque::new(), stored: 0 }
    }

    pub(super) fn whole(size: u64) -> Self {
        Self { ranges: VecDeque::from([Segment::Stored(size)]), stored: size }
    }

    /// A file of `size` bytes, of which `stored` stand in the tar, at the places of the map.
    pub(super) fn sparse(map: Vec<Data>, size: u64, stored: u64) -> io::Result<Self> {
        let mut ranges = VecDeque::new();
        let mut at = 0;
        for (offset, length) in map {
            let range = (u64::try_from(offset).ok(), u64::try_from(length).ok());
            let (Some(offset), Some(length)) = range else { return Err(bad()) };
            let end = offset.saturating_add(length);
            if offset < at || end > size {
                return Err(bad());
            }
            ranges.push_back(Segment::Hole(offset - at));
            ranges.push_back(Segment::Stored(length));
            at = end;
        }
        ranges.push_back(Segment::Hole(size - at));
        Ok(Self { ranges, stored })
    }

    /// How many bytes of the tar belong to what is left.
    pub(super) const fn stored_left(&self) -> u64 {
        self.stored
    }

    pub(super) fn read<R: Read>(&mut self, tar: &mut Counted<'_, R>, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(segment) = self.ranges.front_mut() {
            let (Segment::Stored(left) | Segment::Hole(left)) = segment;
            let most = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
            if most == 0 {
                self.ranges.pop_front();
                continue;
            }
            if let Segment::Hole(left) = segment {
                buffer[..most].fill(0);
                *left -= most as u64;
                tar.hole(most)?;
                return Ok(most);
            }
            let most = most.min(usize::try_from(self.stored).unwrap_or(usize::MAX));
            let read = if most == 0 { 0 } else { tar.read(&mut buffer[..most])? };
            if read == 0 {
                return Err(malformed("a file of its tar is cut off"));
            }
            if let Segment::Stored(left) = segment {
                *left -= read as u64;
            }
            self.stored -= read as u64;
            return Ok(read);
        }
        if self.stored == 0 {
            Ok(0)
        } else {
            Err(malformed("a sparse file of its tar has bytes of no place"))
        }
    }
}

fn bad() -> io::Error {
    malformed("the map of a sparse file of its tar is wrong")
}
