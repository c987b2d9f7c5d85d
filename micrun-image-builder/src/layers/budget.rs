//! What reading one image may cost, all its layers together.

use std::io;

use super::malformed;

/// What is left for an image. Each kind is counted where it is spent, so that all work is linear in what is allowed.
#[derive(Debug)]
pub(crate) struct Budget {
    entries: u64,
    names: u64,
    bytes: u64,
    steps: u64,
}

impl Budget {
    /// Far more than an image of firmware has, and as much as this program reads within seconds.
    pub(crate) const fn for_an_image() -> Self {
        Self { entries: 500_000, names: 128 << 20, bytes: 4 << 30, steps: 50_000_000 }
    }

    /// One that differs in the bytes that are unpacked.
    #[allow(dead_code, reason = "for a test and a fuzz target, which must end soon")]
    pub(crate) const fn of_bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::for_an_image() }
    }

    /// An entry of a tar or a directory above one, with so many bytes of names.
    pub(super) fn entry(&mut self, names: usize) -> io::Result<()> {
        spend(&mut self.entries, 1, "entries")?;
        spend(&mut self.names, names as u64, "bytes of names")
    }

    /// Bytes unpacked: of a tar, and of the holes in its files.
    pub(super) fn bytes(&mut self, count: u64) -> io::Result<()> {
        spend(&mut self.bytes, count, "bytes unpacked")
    }

    /// Names looked up in directories.
    pub(super) fn steps(&mut self, count: usize) -> io::Result<()> {
        spend(&mut self.steps, count as u64, "steps from directory to directory")
    }
}

fn spend(left: &mut u64, count: u64, what: &str) -> io::Result<()> {
    *left = left
        .checked_sub(count)
        .ok_or_else(|| malformed(format!("the image is too large to be checked: it has too many {what}")))?;
    Ok(())
}
