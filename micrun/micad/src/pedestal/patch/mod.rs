//! What changing the memory of running firmware to that of another one takes: which bytes, and what they must be before.
//!
//! The firmware that was started stays the base. What was written since is kept beside it ([`Applied`]), so that a later
//! patch knows what memory holds.

mod marker;
mod memory;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use libmica::ext::PatchReport;
use micrun_firmware::changes::{Image, Segment};
use micrun_firmware::{Changes, ElfInfo, Sha256Digest, memory_file};
use serde::{Deserialize, Serialize};

pub(crate) use self::marker::Marker;
pub(super) use self::memory::{Memory, rewrite};
use crate::{Error, Result};

/// Most bytes that a patch may change. Memory is checked, written and read back while the firmware stands still.
pub(super) const MAX_BYTES: u64 = 256 << 10;

/// A patch that firmware runs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Applied {
    /// The firmware that memory was made equal to.
    pub(super) firmware: Sha256Digest,
    /// Where it differs from the firmware that was started.
    ranges: Vec<Written>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Written {
    address: u64,
    #[serde(with = "hex::serde")]
    bytes: Vec<u8>,
}

/// Bytes that change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// Guest-physical address.
    pub(super) address: u64,
    /// The address by which code there is executed.
    pub(super) runs_at: u64,
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
}

impl Piece {
    /// Whether an instruction at `pc` is one of those that change.
    fn holds(&self, pc: u64) -> bool {
        let size = self.after.len() as u64;
        [self.address, self.runs_at].iter().any(|start| pc.checked_sub(*start).is_some_and(|at| at < size))
    }
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// In the order of their addresses.
    pub(super) pieces: Vec<Piece>,
    /// What the firmware runs with afterwards.
    pub(super) applied: Applied,
    /// Where the new firmware has its exit record.
    pub(super) exit_record: Option<u64>,
}

impl Plan {
    /// How to get from `base`, which was started and patched with `applied`, to `new`. Blocks. The error is the reason why
    /// there is no way.
    pub(super) fn make(base: &File, applied: Option<&Applied>, new: &File) -> Result<Self, String> {
        if !memory_file::is_sealed(new) {
            return Err("it came as a file that somebody could change; send a sealed memory file".to_owned());
        }
        let text = |error: micrun_firmware::Error| error.to_string();
        let (old_info, info) =
            (ElfInfo::from_reader(base).map_err(text)?, ElfInfo::from_reader(new).map_err(text)?);
        if (old_info.machine, old_info.class, old_info.endian) != (info.machine, info.class, info.endian) {
            return Err("it is for another processor than the firmware that runs".to_owned());
        }
        let (mut from, mut to) = (Image::elf(base).map_err(text)?, Image::elf(new).map_err(text)?);
        let changes = Changes::between(&mut from, &mut to).map_err(text)?;
        let unread = |error: io::Error| format!("it cannot be read: {error}");
        let mut ranges = Vec::new();
        check_size(changes.size())?;
        for range in &changes.ranges {
            let address = range.paddr.0;
            let bytes = read(new, to.segments(), address, range.size).map_err(unread)?;
            ranges.push(Written { address, bytes });
        }
        let before = applied.map_or(&[][..], |applied| &applied.ranges);
        let mut pieces = Vec::new();
        for (start, end) in spans(&[before, &ranges]) {
            let mut old = read(base, from.segments(), start, end - start).map_err(unread)?;
            for written in before {
                lay_over(&mut old, start, written);
            }
            let after = read(new, to.segments(), start, end - start).map_err(unread)?;
            if old != after {
                let runs_at = runs_at(&old_info, start);
                pieces.push(Piece { address: start, runs_at, before: old, after });
            }
        }
        check_size(pieces.iter().map(|piece| piece.after.len() as u64).sum())?;
        let firmware = Sha256Digest::read(&mut Whole { file: new, at: 0 }).map_err(unread)?;
        Ok(Self { pieces, applied: Applied { firmware, ranges }, exit_record: info.exit_record })
    }

    /// Refuses to go on if a processor that stands still at `pc` is executing what would change.
    pub(super) fn check_pc(&self, processor: impl std::fmt::Display, pc: u64) -> Result<()> {
        let Some(piece) = self.pieces.iter().find(|piece| piece.holds(pc)) else { return Ok(()) };
        Err(refuse(format!(
            "processor {processor} is executing at {pc:#x} what would change, {} bytes at {:#x}; try again",
            piece.after.len(),
            piece.address
        )))
    }

    /// What to say when it was done, and the firmware stood still for `pause`.
    pub(super) fn report(&self, pause: Duration) -> PatchReport {
        PatchReport {
            firmware: self.applied.firmware.to_string(),
            ranges: self.pieces.len() as u64,
            bytes: self.pieces.iter().map(|piece| piece.after.len() as u64).sum(),
            pause_usec: u64::try_from(pause.as_micros()).unwrap_or(u64::MAX),
        }
    }
}

/// The error of a patch that has changed nothing.
pub(super) fn refuse(problem: impl Into<String>) -> Error {
    Error::NotPatched { problem: problem.into() }
}

fn check_size(bytes: u64) -> Result<(), String> {
    if bytes <= MAX_BYTES {
        return Ok(());
    }
    Err(format!("it changes {bytes} bytes, more than {MAX_BYTES}: start the client anew with that firmware"))
}

/// Where bytes are written, without overlaps. Ranges that only touch stay apart: each lies in one segment.
fn spans(lists: &[&[Written]]) -> Vec<(u64, u64)> {
    let span = |written: &Written| (written.address, written.address + written.bytes.len() as u64);
    let mut all: Vec<_> = lists.iter().copied().flatten().map(span).collect();
    all.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (start, end) in all {
        match merged.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => merged.push((start, end)),
        }
    }
    merged
}

/// Puts what was written over the bytes from `start` on. It lies within them or outside of them.
fn lay_over(bytes: &mut [u8], start: u64, written: &Written) {
    let Some(at) = written.address.checked_sub(start).and_then(|at| usize::try_from(at).ok()) else { return };
    if let Some(place) = bytes.get_mut(at..).and_then(|rest| rest.get_mut(..written.bytes.len())) {
        place.copy_from_slice(&written.bytes);
    }
}

/// The bytes that a firmware loads at `address`.
fn read(file: &File, segments: &[Segment], address: u64, size: u64) -> io::Result<Vec<u8>> {
    let segment = segments
        .iter()
        .find(|it| address >= it.paddr && address - it.paddr < it.filesz)
        .ok_or_else(|| io::Error::other(format!("it loads nothing at {address:#x}")))?;
    let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, segment.offset + (address - segment.paddr))?;
    Ok(bytes)
}

fn runs_at(info: &ElfInfo, address: u64) -> u64 {
    let segment = info.segments.iter().find(|it| address >= it.paddr && address - it.paddr < it.memsz);
    segment.map_or(address, |it| it.vaddr.wrapping_add(address - it.paddr))
}

/// A file from its beginning on, whose own position stays as it is.
struct Whole<'a> {
    file: &'a File,
    at: u64,
}

impl io::Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(address: u64, size: usize) -> Written {
        Written { address, bytes: vec![1; size] }
    }

    #[test]
    fn spans_that_overlap_are_one_and_those_that_touch_are_two() {
        let (old, new) = ([written(0, 4), written(20, 4)], [written(2, 6), written(8, 2)]);
        assert_eq!(spans(&[&old, &new]), [(0, 8), (8, 10), (20, 24)]);
    }

    #[test]
    fn an_earlier_patch_is_what_memory_holds() {
        let mut bytes = [0; 6];
        for earlier in [written(12, 2), written(4, 2), written(15, 2), written(40, 1)] {
            lay_over(&mut bytes, 10, &earlier);
        }
        assert_eq!(bytes, [0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn a_program_counter_counts_by_either_address() {
        let piece = Piece { address: 0x100, runs_at: 0x8000, before: vec![0; 4], after: vec![1; 4] };
        assert!(piece.holds(0x100) && piece.holds(0x8003));
        assert!(!piece.holds(0xff) && !piece.holds(0x104) && !piece.holds(0x7fff) && !piece.holds(0x8004));
    }
}
