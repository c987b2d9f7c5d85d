//! SHA-256 computed on bytes while they pass by.

use std::io::{self, Read, Write};

use oci_spec::image::Sha256Digest;
use sha2::{Digest as _, Sha256};

/// What was hashed: its digest and its size in bytes. The identity of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) digest: Sha256Digest,
    pub(crate) size: u64,
}

impl Measured {
    /// Measures bytes that are in memory.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut meter = Meter::default();
        meter.update(bytes);
        meter.finish()
    }

    /// The digest as OCI writes it, with its algorithm.
    pub(crate) fn name(&self) -> String {
        format!("sha256:{}", self.digest.digest())
    }

    /// The name of the blob inside an image layout.
    pub(crate) fn blob_path(&self) -> String {
        format!("blobs/sha256/{}", self.digest.digest())
    }
}

/// A running SHA-256 and byte count.
#[derive(Default)]
pub(crate) struct Meter {
    hasher: Sha256,
    size: u64,
}

impl Meter {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
    }

    pub(crate) fn finish(self) -> Measured {
        let hex = hex::encode(self.hasher.finalize());
        #[expect(clippy::expect_used, reason = "a SHA-256 in hex is always a valid digest")]
        let digest = hex.parse().expect("64 hex digits");
        Measured { digest, size: self.size }
    }
}

/// Passes bytes on to `inner` and measures them.
pub(crate) struct MeteredWriter<W> {
    inner: W,
    meter: Meter,
}

impl<W: Write> MeteredWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, meter: Meter::default() }
    }

    pub(crate) fn finish(self) -> (W, Measured) {
        (self.inner, self.meter.finish())
    }
}

impl<W: Write> Write for MeteredWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.meter.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads from `inner` and measures what was read.
pub(crate) struct MeteredReader<R> {
    inner: R,
    meter: Meter,
}

impl<R: Read> MeteredReader<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self { inner, meter: Meter::default() }
    }

    /// Reads what is left, then tells what all of it was.
    pub(crate) fn drain(mut self) -> io::Result<Measured> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.meter.finish())
    }
}

impl<R: Read> Read for MeteredReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.meter.update(&buffer[..read]);
        Ok(read)
    }
}
