//! An oci-archive, an image layout inside a tar, that is Docker's archive as well.

use std::env;
use std::fs::{File, Permissions};
use std::io::{self, BufWriter, IsTerminal, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tar::EntryType;
use tempfile::{NamedTempFile, TempPath};

use super::{STAGE, STDOUT, Sink, index_json, layout_json, parent, write_error};
use crate::compressed::Format;
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::interrupt::Unfinished;
use crate::json;
use crate::layer::{self, BLOCK, BUFFER};

/// Where a finished archive goes.
enum Delivery {
    /// The file beside the destination that becomes it.
    Rename(TempPath, Unfinished),
    Compress(Format),
    Stdout,
}

/// A tar under construction, in a temporary file.
///
/// A blob's tar header carries its name and size, which are known only at its end: room is left for the header
/// and it is filled in afterwards, so that a blob is written once and never held in memory.
pub(super) struct Archive {
    out: BufWriter<File>,
    delivery: Delivery,
    destination: PathBuf,
    mtime: u64,
    /// Where the header of the current blob stands.
    start: u64,
    /// Where the next byte goes.
    position: u64,
}

impl Archive {
    /// One that becomes the file `destination`.
    pub(super) fn create(destination: &Path, format: Format, mtime: u64) -> Result<Self> {
        if destination.is_dir() {
            return Err(Error::Destination {
                path: destination.to_owned(),
                reason: "a directory of that name exists, and an archive would replace it",
            });
        }
        let opened = match format {
            Format::Plain => beside(destination).map(|(unfinished, file)| {
                let (file, path) = file.into_parts();
                (file, Delivery::Rename(path, unfinished))
            }),
            _ => tempfile::tempfile_in(parent(destination)).map(|file| (file, Delivery::Compress(format))),
        };
        let (file, delivery) = opened.map_err(write_error(destination))?;
        Self::begun(file, delivery, destination, mtime)
    }

    /// One that is written to the standard output once it is whole.
    pub(super) fn to_stdout(mtime: u64) -> Result<Self> {
        if io::stdout().is_terminal() {
            return Err(Error::Argument {
                what: "output",
                value: STDOUT.to_owned(),
                reason: "the standard output is a terminal; redirect it or name a file".to_owned(),
            });
        }
        let file = tempfile::tempfile().map_err(write_error(&env::temp_dir()))?;
        Self::begun(file, Delivery::Stdout, Path::new("the standard output"), mtime)
    }

    fn begun(file: File, delivery: Delivery, destination: &Path, mtime: u64) -> Result<Self> {
        let out = BufWriter::with_capacity(BUFFER, file);
        let destination = destination.to_owned();
        let mut archive = Self { out, delivery, destination, mtime, start: 0, position: 0 };
        archive.directories().map_err(write_error(&archive.destination))?;
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

    fn finish(&mut self, image: &Stored) -> io::Result<()> {
        self.file("index.json", &index_json(image.entries()))?;
        if !image.docker.is_null() {
            self.file("manifest.json", &json::canonical(&image.docker))?;
        }
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
        let write = write_error(&self.destination);
        self.finish(&image).and_then(|()| (*self).deliver()).map_err(write)
    }
}

impl Archive {
    fn deliver(self) -> io::Result<()> {
        let Self { out, delivery, destination, .. } = self;
        let mut archive = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        archive.rewind()?;
        match delivery {
            Delivery::Rename(path, _unfinished) => path.persist(&destination)?,
            Delivery::Compress(format) => {
                let (_unfinished, compressed) = beside(&destination)?;
                let mut compressed = BufWriter::with_capacity(BUFFER, compressed);
                format.compress(&mut archive, &mut compressed)?;
                let compressed = compressed.into_inner().map_err(io::IntoInnerError::into_error)?;
                compressed.persist(&destination)?;
            }
            Delivery::Stdout => {
                let mut out = io::stdout().lock();
                io::copy(&mut archive, &mut out)?;
                out.flush()?;
            }
        }
        Ok(())
    }
}

/// A temporary file in the directory of `destination`.
fn beside(destination: &Path) -> io::Result<(Unfinished, NamedTempFile)> {
    let permissions = Permissions::from_mode(0o666);
    let parent = parent(destination);
    Unfinished::create(|| tempfile::Builder::new().prefix(STAGE).permissions(permissions).tempfile_in(parent))
}
