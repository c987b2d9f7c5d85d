//! What a delta gives, read like a file.

use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use super::{CHUNK, Delta};

/// The result of a delta, at a position.
#[derive(Debug)]
pub struct View<'a> {
    delta: &'a Delta,
    position: u64,
}

impl<'a> View<'a> {
    /// The result, from its beginning.
    pub const fn new(delta: &'a Delta) -> Self {
        Self { delta, position: 0 }
    }

    /// Gives the whole result in pieces, each with its place.
    pub(super) fn each(self, mut piece: impl FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<u64> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            // Whole pieces: holes are pages of them.
            let read = read_full(&mut |buffer, at| self.delta.read_some(buffer, at), &mut buffer, at)?;
            if read == 0 {
                return Ok(at);
            }
            piece(&buffer[..read], at)?;
            at += read as u64;
        }
    }
}

impl Delta {
    /// Reads from a place of the result, up to the end of the operation there.
    pub(super) fn read_some(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        if at >= self.header.result.size {
            return Ok(0);
        }
        let number = self.places.partition_point(|(start, _)| *start <= at) - 1;
        let (start, source) = self.places[number];
        let operation = self.header.operations[number];
        let left = operation.size - (at - start);
        let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (buffer, at) = (&mut buffer[..most], source + (at - start));
        let read = match operation.from {
            Some(_) => self.base.read_at(buffer, at)?,
            None => self.file.read_at(buffer, self.data + at)?,
        };
        if read == 0 && most > 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the delta or its base is cut off"));
        }
        Ok(read)
    }
}

impl Read for View<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.delta.read_some(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for View<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.delta.header.result.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.position)
    }
}

/// Fills the buffer as far as there is something, whatever each read gives.
pub(super) fn read_full(
    read: &mut dyn FnMut(&mut [u8], u64) -> io::Result<usize>,
    buffer: &mut [u8],
    at: u64,
) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match read(&mut buffer[filled..], at + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
