//! Where two firmwares differ, byte by byte.

use std::io::{Read, Seek, SeekFrom};

use super::image::{Image, Place, unreadable};
use super::{GAP, MAX_RANGES};
use crate::{Error, Result};

/// Bytes of either firmware in memory at a time.
const CHUNK: usize = 64 << 10;

/// Bytes of a place that change, counted from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Which of the places.
    pub(super) place: usize,
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Span {
    pub(super) const fn size(&self) -> u64 {
        self.end - self.start
    }
}

/// Spans as they are found, joined where little is between them.
struct Spans {
    found: Vec<Span>,
    gap: u64,
}

impl Spans {
    fn add(&mut self, span: Span) {
        if !join(&mut self.found, span, self.gap) {
            self.found.push(span);
        }
        while self.found.len() > MAX_RANGES {
            self.gap *= 2;
            for span in std::mem::take(&mut self.found) {
                if !join(&mut self.found, span, self.gap) {
                    self.found.push(span);
                }
            }
        }
    }
}

/// Lengthens the last span to the end of the next one, if fewer than `gap` bytes are between them.
fn join(found: &mut [Span], next: Span, gap: u64) -> bool {
    match found.last_mut() {
        Some(last) if last.place == next.place && next.start - last.end < gap => {
            last.end = next.end;
            true
        }
        _ => false,
    }
}

pub(super) fn spans<B: Read + Seek, R: Read + Seek>(
    base: &mut Image<B>,
    result: &mut Image<R>,
    places: &[Place],
) -> Result<Vec<Span>> {
    let mut spans = Spans { found: Vec::new(), gap: GAP };
    let (mut before, mut after) = (vec![0; CHUNK], vec![0; CHUNK]);
    for (number, place) in places.iter().enumerate() {
        base.reader.seek(SeekFrom::Start(place.base)).map_err(unreadable)?;
        result.reader.seek(SeekFrom::Start(place.result)).map_err(unreadable)?;
        let mut at = 0;
        while at < place.size {
            let size = usize::try_from(place.size - at).map_or(CHUNK, |left| left.min(CHUNK));
            fill(&mut base.reader, &mut before[..size])?;
            fill(&mut result.reader, &mut after[..size])?;
            if before[..size] != after[..size] {
                compare(&before[..size], &after[..size], at, number, &mut spans);
            }
            at += size as u64;
        }
    }
    Ok(spans.found)
}

fn compare(before: &[u8], after: &[u8], at: u64, place: usize, spans: &mut Spans) {
    for (position, (old, new)) in (at..).zip(before.iter().zip(after)) {
        if old != new {
            spans.add(Span { place, start: position, end: position + 1 });
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<()> {
    reader.read_exact(buffer).map_err(|error| match error.kind() {
        // Its size was known: somebody cuts it off.
        std::io::ErrorKind::UnexpectedEof => Error::Changed { path: "the firmware".into() },
        _ => unreadable(error),
    })
}
