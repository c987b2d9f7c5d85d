//! The memory that an input describes: pieces of it at their addresses.
//!
//! The bytes go to a temporary file, so that only the list of pieces is held in memory, and that is bounded.

use std::io::{Read, Seek, SeekFrom, Write};

use super::fault::{Fault, Result};

/// The most bytes of an input: what a firmware may have, less room for the headers of its ELF.
const MAX_SIZE: u64 = (256 << 20) - (64 << 10);
/// The most pieces before those that touch are joined. Each costs 24 bytes.
const MAX_PIECES: usize = 1 << 16;
/// The most segments in the end: readers of ELF files take 256 program headers.
const MAX_SEGMENTS: usize = 256;
/// How much is written to or read from the spool at a time.
const PART: usize = 64 << 10;

/// Memory in the making: what has been read so far.
pub(crate) struct Memory<S> {
    spool: S,
    /// What is not in the spool yet: records of formats are small.
    pending: Vec<u8>,
    size: u64,
    pieces: Vec<Piece>,
}

/// Bytes that belong together in memory and in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    address: u64,
    length: u64,
    /// Where the bytes are in the spool.
    at: u64,
}

impl Piece {
    fn end(&self) -> u64 {
        self.address + self.length
    }
}

impl<S: Write> Memory<S> {
    /// Nothing yet. `spool` takes the bytes, from its beginning on.
    pub(crate) fn new(spool: S) -> Self {
        Self { spool, pending: Vec::new(), size: 0, pieces: Vec::new() }
    }

    /// Adds the bytes at an address.
    pub(crate) fn add(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        let length = bytes.len() as u64;
        if length == 0 {
            return Ok(());
        }
        if address.checked_add(length).is_none() {
            return Err(Fault::refused(format!(
                "its data at {address:#x} passes the end of the address space"
            )));
        }
        if self.size + length > MAX_SIZE {
            return Err(Fault::refused(format!(
                "it holds more than the {MAX_SIZE} bytes a firmware may have"
            )));
        }
        let is_full = self.pieces.len() == MAX_PIECES;
        match self.pieces.last_mut() {
            Some(last) if last.end() == address => last.length += length,
            _ if is_full => {
                return Err(Fault::refused(format!(
                    "its data is in more than {MAX_PIECES} pieces; give the ELF itself"
                )));
            }
            _ => self.pieces.push(Piece { address, length, at: self.size }),
        }
        self.size += length;
        self.pending.extend(bytes);
        if self.pending.len() < PART { Ok(()) } else { self.flush() }
    }

    fn flush(&mut self) -> Result<()> {
        self.spool.write_all(&self.pending).map_err(Fault::Temporary)?;
        self.pending.clear();
        Ok(())
    }

    /// Sorts the pieces and joins those that touch. Pieces that overlap are refused: which of them counts
    /// would depend on the loader.
    pub(crate) fn finish(mut self) -> Result<Contents<S>> {
        self.flush()?;
        self.pieces.sort_unstable_by_key(|piece| piece.address);
        if let Some(pair) = self.pieces.windows(2).find(|pair| pair[0].end() > pair[1].address) {
            return Err(Fault::refused(format!(
                "it has data for the address {:#x} twice; convert the ELF again, or merge the parts correctly",
                pair[1].address
            )));
        }
        let touching = self.pieces.chunk_by(|one, next| one.end() == next.address);
        let segments: Vec<_> = touching.map(|pieces| Segment { pieces: pieces.to_vec() }).collect();
        match segments.len() {
            0 => Err(Fault::refused("it holds no data")),
            1..=MAX_SEGMENTS => Ok(Contents { spool: self.spool, segments }),
            count => Err(Fault::refused(format!(
                "its data is at {count} separate places in memory, and an ELF may have {MAX_SEGMENTS}; give the \
                 ELF itself"
            ))),
        }
    }
}

/// Memory that is complete.
#[derive(Debug)]
pub(crate) struct Contents<S> {
    spool: S,
    /// In the order of addresses; at least one.
    pub(crate) segments: Vec<Segment>,
}

/// A range of memory without a gap.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pieces: Vec<Piece>,
}

impl Segment {
    /// The first address.
    pub(crate) fn address(&self) -> u64 {
        self.pieces[0].address
    }

    /// Its size in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.length).sum()
    }
}

impl<S: Read + Seek> Contents<S> {
    /// The lowest address with contents.
    pub(crate) fn start(&self) -> u64 {
        self.segments[0].address()
    }

    /// The address after the highest one with contents.
    pub(crate) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.address() + segment.length())
    }

    /// Whether there are contents at an address.
    pub(crate) fn holds(&self, address: u64) -> bool {
        self.segments
            .iter()
            .any(|segment| address.checked_sub(segment.address()).is_some_and(|at| at < segment.length()))
    }

    /// The four bytes at an address, if they are there in one piece.
    pub(crate) fn word(&mut self, address: u64) -> Result<Option<u32>> {
        let pieces = self.segments.iter().flat_map(|segment| &segment.pieces);
        let holds = |piece: &&Piece| {
            address.checked_sub(piece.address).is_some_and(|at| piece.length >= 4 && at <= piece.length - 4)
        };
        let Some(piece) = pieces.copied().find(|piece| holds(&piece)) else { return Ok(None) };
        let mut bytes = [0; 4];
        self.spool.seek(SeekFrom::Start(piece.at + (address - piece.address))).map_err(Fault::Temporary)?;
        self.spool.read_exact(&mut bytes).map_err(Fault::Temporary)?;
        Ok(Some(u32::from_le_bytes(bytes)))
    }

    /// Gives the bytes of a segment, in parts, to `take`.
    pub(crate) fn read(&mut self, segment: usize, mut take: impl FnMut(&[u8])) -> Result<()> {
        let mut buffer = vec![0; PART];
        for piece in &self.segments[segment].pieces {
            self.spool.seek(SeekFrom::Start(piece.at)).map_err(Fault::Temporary)?;
            let mut left = piece.length;
            while left > 0 {
                let part = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
                self.spool.read_exact(&mut buffer[..part]).map_err(Fault::Temporary)?;
                take(&buffer[..part]);
                left -= part as u64;
            }
        }
        Ok(())
    }
}
