//! A delta: a file that stands for a firmware and holds only what tells it from another file of the image, its base.
//!
//! The file has three parts: the line `micrun-delta`, a line of canonical JSON ([`Header`]), and the bytes that the base
//! does not have. No ELF begins so: whoever knows nothing of deltas refuses the file. `docs/DELTA.md` is the format's
//! documentation.
//!
//! A base may be a delta itself. What a delta gives is read in place; nothing is unpacked before it is asked for.

mod header;
mod view;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use sha2::{Digest, Sha256};

pub use header::{Header, Identity, Operation, Target};
pub use view::View;

use crate::copy::write_pages;
use crate::text::quoted;
use crate::{Error, Result, Sha256Digest};

/// The first line of every delta.
pub const MAGIC: &[u8] = b"micrun-delta\n";

/// Where deltas and what they stand upon are in an image.
pub const DIRECTORY: &str = "/.micrun/deltas";

/// The longest header accepted, in bytes.
pub const MAX_HEADER: u64 = 1 << 20;

/// The most operations of a delta.
pub const MAX_OPERATIONS: usize = 16 << 10;

/// The most deltas that stand upon each other.
pub const MAX_CHAIN: usize = 16;

/// Bytes in memory at a time.
const CHUNK: usize = 64 << 10;

/// The path in the image of the delta of the layer `number`, counted from 0.
pub fn path(number: u32) -> String {
    format!("{DIRECTORY}/{number:04}.delta")
}

/// The second path of a whole firmware of the layer `number`, by which deltas find it when its own path has a delta.
pub fn base_path(number: u32) -> String {
    format!("{DIRECTORY}/{number:04}.base")
}

/// A firmware or a base: as it is, or as a delta gives it.
#[derive(Debug)]
pub enum Content {
    /// The file is what it seems.
    Plain(File),
    /// The file is a delta.
    Delta(Box<Delta>),
}

/// A delta and all that it stands upon, open.
#[derive(Debug)]
pub struct Delta {
    /// What it says of itself.
    pub header: Header,
    base: Content,
    file: File,
    /// Where in `file` its own bytes begin.
    data: u64,
    /// Where in the result each operation begins, and where in its source.
    places: Vec<(u64, u64)>,
}

/// Whether a file is a delta, by its first bytes.
pub fn is_delta(file: &File) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    let read = view::read_full(&mut |buffer, at| file.read_at(buffer, at), &mut start, 0)?;
    Ok(start[..read] == *MAGIC)
}

impl Content {
    /// Opens a file that may be a delta. `open` opens the bases by their paths, one after the other.
    pub fn open(file: File, open: &mut dyn FnMut(&str) -> Result<File>) -> Result<Self> {
        Self::chain(file, open, MAX_CHAIN)
    }

    fn chain(file: File, open: &mut dyn FnMut(&str) -> Result<File>, most: usize) -> Result<Self> {
        if !is_delta(&file).map_err(|error| Error::io("read", "the firmware", error))? {
            return Ok(Self::Plain(file));
        }
        if most == 0 {
            return Err(refuse(format!("more than {MAX_CHAIN} deltas stand upon each other")));
        }
        let (header, data) = Header::read(&file)?;
        let base = Self::chain(open(&header.base.path)?, open, most - 1)?;
        if let Self::Delta(below) = &base
            && below.header.result != header.base.identity()
        {
            return Err(refuse(format!(
                "its base {} is a delta that gives {}, but it was made for {}",
                quoted(&header.base.path),
                below.header.result,
                header.base.identity()
            )));
        }
        let places = header.places();
        Ok(Self::Delta(Box::new(Delta { header, base, file, data, places })))
    }

    /// Reads from a place of the content; less than asked for only at its end.
    pub fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        view::read_full(
            &mut |buffer, at| match self {
                Self::Plain(file) => file.read_at(buffer, at),
                Self::Delta(delta) => delta.read_some(buffer, at),
            },
            buffer,
            at,
        )
    }

    /// Its size in bytes.
    pub fn size(&self) -> io::Result<u64> {
        match self {
            Self::Plain(file) => Ok(file.metadata()?.len()),
            Self::Delta(delta) => Ok(delta.header.result.size),
        }
    }

    fn digest(&self) -> io::Result<Identity> {
        let mut hasher = Sha256::new();
        let size = self.each(|bytes, _| {
            hasher.update(bytes);
            Ok(())
        })?;
        Ok(Identity { sha256: Sha256Digest::from(hasher), size })
    }

    /// Gives the content in pieces, each with its place.
    fn each(&self, mut piece: impl FnMut(&[u8], u64) -> io::Result<()>) -> io::Result<u64> {
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let read = self.read_at(&mut buffer, at)?;
            if read == 0 {
                return Ok(at);
            }
            piece(&buffer[..read], at)?;
            at += read as u64;
        }
    }
}

impl Delta {
    /// Writes what the delta gives to the empty file `to`. The file at the end of the chain is compared with its digest
    /// before, the result with its own afterwards: after an error, nobody may use `to`.
    pub fn copy_to(&self, to: &File) -> Result<Sha256Digest> {
        let io = |error| Error::io("copy", "the firmware", error);
        let (root, header) = self.root();
        let found = root.digest().map_err(io)?;
        if found != header.base.identity() {
            return Err(refuse(format!(
                "its base {} is {found}, but it was made for {}",
                quoted(&header.base.path),
                header.base.identity()
            )));
        }
        let mut hasher = Sha256::new();
        let whole = View::new(self);
        let size = whole.each(|bytes, at| {
            hasher.update(bytes);
            write_pages(to, bytes, at)
        });
        let size = size.map_err(io)?;
        to.set_len(size).map_err(io)?;
        let made = Identity { sha256: Sha256Digest::from(hasher), size };
        if made != self.header.result {
            return Err(refuse(format!("it gives {made} instead of {}", self.header.result)));
        }
        Ok(made.sha256)
    }

    /// The files that it consists of: itself, and each base as it is stored.
    pub fn files(&self) -> Vec<&File> {
        let mut files = vec![&self.file];
        match &self.base {
            Content::Plain(file) => files.push(file),
            Content::Delta(delta) => files.extend(delta.files()),
        }
        files
    }

    /// The file at the end of the chain, and the header that names it.
    fn root(&self) -> (&Content, &Header) {
        match &self.base {
            Content::Delta(delta) => delta.root(),
            plain @ Content::Plain(_) => (plain, &self.header),
        }
    }
}

pub(crate) fn refuse(reason: impl Into<String>) -> Error {
    Error::Delta { reason: reason.into() }
}
