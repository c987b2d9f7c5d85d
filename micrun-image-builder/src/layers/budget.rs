//! What reading one image may cost, all its layers together.

use std::io;

/// What is left for an image. Each kind is counted where it is spent, so that all work is linear in what is allowed.
#[derive(Debug)]
pub(crate) struct Budget {
    entries: u64,
    names: u64,
    bytes: u64,
    steps: u64,
    documents: u64,
}

impl Budget {
    /// Far more than an image of firmware has, and as much as this program reads within seconds.
    pub(crate) const fn for_an_image() -> Self {
        Self { entries: 500_000, names: 256 << 20, bytes: 4 << 30, steps: 50_000_000, documents: 256 << 20 }
    }

    /// What all second readings of layers may cost, which fetch single files out of them.
    pub(crate) const fn for_files() -> Self {
        Self { entries: 8_000_000, names: 2 << 30, bytes: 16 << 30, ..Self::for_an_image() }
    }

    /// One that differs in the bytes that are unpacked.
    #[allow(dead_code, reason = "for a test and a fuzz target, which must end soon")]
    pub(crate) const fn of_bytes(bytes: u64) -> Self {
        Self { bytes, ..Self::for_an_image() }
    }

    /// One that differs in the steps that may be made.
    #[cfg(test)]
    pub(super) const fn of_steps(steps: u64) -> Self {
        Self { steps, ..Self::for_an_image() }
    }

    /// An entry of a tar or a directory above one, with so many bytes of names.
    pub(super) fn entry(&mut self, names: usize) -> io::Result<()> {
        spend(&mut self.entries, 1, "entries")?;
        self.names(names)
    }

    /// Bytes of a name or of a whole path.
    pub(super) fn names(&mut self, count: usize) -> io::Result<()> {
        spend(&mut self.names, count as u64, "bytes of names")
    }

    /// Bytes unpacked: of a tar, and of the holes in its files.
    pub(super) fn bytes(&mut self, count: u64) -> io::Result<()> {
        spend(&mut self.bytes, count, "bytes unpacked")
    }

    /// A manifest, a config, an index or a part of a signature of so many bytes, each time that it is read.
    pub(crate) fn document(&mut self, size: u64) -> io::Result<()> {
        spend(&mut self.entries, 1, "entries")?;
        spend(&mut self.documents, size, "bytes of manifests")
    }

    /// Names looked up in directories, or passed by.
    pub(super) fn steps(&mut self, count: usize) -> io::Result<()> {
        spend(&mut self.steps, count as u64, "steps from directory to directory")
    }
}

fn spend(left: &mut u64, count: u64, what: &str) -> io::Result<()> {
    let too_large = || {
        let sentence = format!("the image is too large to be checked: it has too many {what}");
        io::Error::new(io::ErrorKind::FileTooLarge, sentence)
    };
    *left = left.checked_sub(count).ok_or_else(too_large)?;
    Ok(())
}
