//! Whether a file that is read twice is the same both times.
//!
//! A checksum finds a change that happens by chance, at a fifth of what a digest costs. Nobody gains by a change that it
//! does not find: the record's digest then is not that of the file, and whoever checks the image says so.

use std::io::{self, Read, Seek, SeekFrom};

use libdeflater::Crc;

/// Reads from `inner` and sums up what was read since it last moved elsewhere.
pub(crate) struct Summed<R> {
    inner: R,
    crc: Crc,
}

impl<R> Summed<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, crc: Crc::new() }
    }

    /// The CRC-32 of gzip.
    pub(crate) fn sum(&self) -> u32 {
        self.crc.sum()
    }
}

impl<R: Read> Read for Summed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.crc.update(&buffer[..read]);
        Ok(read)
    }
}

impl<R: Seek> Seek for Summed<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.crc = Crc::new();
        self.inner.seek(to)
    }
}
