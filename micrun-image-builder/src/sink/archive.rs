//! An oci-archive, an image layout inside a tar, that is Docker's archive as well.

use std::fs::Permissions;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::EntryType;
use tempfile::NamedTempFile;

use super::{Sink, index_json, layout_json, parent, write_error};
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::json;
use crate::layer;

const BLOCK: usize = 512;
const BUFFER: usize = 256 * 1024;

/// A tar under construction, in a temporary file beside its destination.
///
/// A blob's tar header carries its name and size, which are known only at its end: room is left for the header
/// and it is filled in afterwards, so that a blob is written once and never held in memory.
pub(super) struct Archive {
    out: BufWriter<NamedTempFile>,
    destination: PathBuf,
    mtime: u64,
    /// Where the header of the current blob stands.
    start: u64,
    /// Where the next byte goes.
    position: u64,
}

impl Archive {
    pub(super) fn create(destination: &Path, mtime: u64) -> Result<Self> {
        if destination.is_dir() {
            return Err(Error::Destination {
                path: destination.to_owned(),
                reason: "a directory of that name exists, and an archive would replace it",
            });
        }
        let temporary = tempfile::Builder::new()
            .prefix(".micrun-pack-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent(destination))
            .map_err(write_error(destination))?;
        let out = BufWriter::with_capacity(BUFFER, temporary);
        let mut archive = Self { out, destination: destination.to_owned(), mtime, start: 0, position: 0 };
        archive.directories().map_err(write_error(destination))?;
        Ok(archive)
    }

    fn directories(&mut self) -> io::Result<()> {
        for path in ["blobs/", "blobs/sha256/"] {
            let header = layer::header(path, EntryType::Directory, 0o755, 0, self.mtime)?;
            self.write_all(header.as_bytes())?;
        }
        Ok(())
    }

    fn file(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let header = layer::header(name, EntryType::Regular, 0o644, content.len() as u64, self.mtime)?;
        self.write_all(header.as_bytes())?;
        self.write_all(content)?;
        self.pad()
    }

    fn pad(&mut self) -> io::Result<()> {
        let rest = self.position.next_multiple_of(BLOCK as u64) - self.position;
        io::copy(&mut io::Read::take(io::repeat(0), rest), self)?;
        Ok(())
    }

    fn finish(&mut self, image: Stored) -> io::Result<()> {
        self.file("index.json", &index_json(vec![image.entry]))?;
        self.file("manifest.json", &json::canonical(&image.docker))?;
        self.file("oci-layout", &layout_json())?;
        self.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()
    }
}

impl Write for Archive {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Sink for Archive {
    fn begin(&mut self) -> io::Result<()> {
        self.start = self.position;
        self.write_all(&[0; BLOCK])
    }

    fn end(&mut self, blob: &Measured) -> io::Result<()> {
        self.pad()?;
        let header = layer::header(&blob.blob_path(), EntryType::Regular, 0o644, blob.size, self.mtime)?;
        self.out.seek(SeekFrom::Start(self.start))?;
        self.out.write_all(header.as_bytes())?;
        self.out.seek(SeekFrom::Start(self.position))?;
        Ok(())
    }

    fn commit(mut self: Box<Self>, image: Stored) -> Result<()> {
        self.finish(image).map_err(write_error(&self.destination))?;
        let Self { out, destination, .. } = *self;
        let temporary = out.into_inner().map_err(|e| write_error(&destination)(e.into_error()))?;
        temporary.persist(&destination).map_err(|e| write_error(&destination)(e.error))?;
        Ok(())
    }
}
