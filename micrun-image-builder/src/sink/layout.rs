//! An oci-layout directory (image-spec, image-layout.md).

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex};
use tempfile::{NamedTempFile, TempDir};

use super::{Sink, index_json, layout_json, parent, write_error};
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::names;

const BUFFER: usize = 256 * 1024;
/// More than any index of a layout that people keep.
const MAX_INDEX: u64 = 16 << 20;

/// A layout under construction, in a temporary directory.
///
/// A new layout is renamed into place as a whole. Of a layout that exists, blobs are added first and its
/// `index.json` is replaced last: until then its readers see the old images, and its other images stay.
pub(super) struct Layout {
    stage: TempDir,
    destination: PathBuf,
    /// The entries of the layout that is there already, if one is.
    existing: Option<Vec<Descriptor>>,
    blob: Option<BufWriter<NamedTempFile>>,
    blobs: Vec<String>,
}

impl Layout {
    pub(super) fn create(destination: &Path) -> Result<Self> {
        let existing = existing(destination)?;
        let place = if existing.is_some() { destination.to_owned() } else { parent(destination) };
        let stage = tempfile::Builder::new()
            .prefix(".micrun-pack-")
            .permissions(Permissions::from_mode(0o777))
            .tempdir_in(place)
            .map_err(write_error(destination))?;
        fs::create_dir_all(stage.path().join("blobs/sha256")).map_err(write_error(destination))?;
        Ok(Self { stage, destination: destination.to_owned(), existing, blob: None, blobs: Vec::new() })
    }

    fn temporary(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(self.stage.path().join("blobs/sha256"))
    }

    /// Puts the finished stage where no layout is yet.
    fn publish(self, entry: Descriptor) -> io::Result<()> {
        fs::write(self.stage.path().join("index.json"), index_json(vec![entry]))?;
        fs::write(self.stage.path().join("oci-layout"), layout_json())?;
        // Renaming onto an empty directory replaces it.
        fs::rename(self.stage.path(), &self.destination)?;
        // Gone from its temporary place: nothing is left to remove.
        let _ = self.stage.keep();
        Ok(())
    }

    /// Adds what is staged to the layout that is there.
    fn merge(self, entry: Descriptor, mut entries: Vec<Descriptor>) -> io::Result<()> {
        fs::create_dir_all(self.destination.join("blobs/sha256"))?;
        for blob in &self.blobs {
            fs::rename(self.stage.path().join(blob), self.destination.join(blob))?;
        }
        entries.retain(|other| names::of(other) != names::of(&entry));
        entries.push(entry);
        let index = self.stage.path().join("index.json");
        fs::write(&index, index_json(entries))?;
        fs::rename(index, self.destination.join("index.json"))
    }
}

/// The entries of a layout at `destination`; `None` if nothing is there or an empty directory.
fn existing(destination: &Path) -> Result<Option<Vec<Descriptor>>> {
    let refuse = |reason| Err(Error::Destination { path: destination.to_owned(), reason });
    let mut files = match fs::read_dir(destination) {
        Ok(files) => files,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return refuse(
                "a file of that name exists; name an archive FILE.tar, or give the layout another name",
            );
        }
        Err(source) => return Err(Error::Read { path: destination.to_owned(), source }),
    };
    if files.next().is_none() {
        return Ok(None);
    }
    if !destination.join("oci-layout").is_file() {
        return refuse("the directory is neither empty nor an OCI image layout; choose another");
    }
    let path = destination.join("index.json");
    let read = |source| Error::Read { path: path.clone(), source };
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(File::open(&path).map_err(read)?, MAX_INDEX), &mut text)
        .map_err(read)?;
    let index: ImageIndex = serde_json::from_slice(&text)
        .map_err(|source| Error::Json { name: path.display().to_string(), source })?;
    Ok(Some(index.manifests().clone()))
}

impl Write for Layout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.blob {
            Some(blob) => blob.write(bytes),
            None => Err(io::Error::other("no blob was begun")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.blob.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Sink for Layout {
    fn begin(&mut self) -> io::Result<()> {
        self.blob = Some(BufWriter::with_capacity(BUFFER, self.temporary()?));
        Ok(())
    }

    fn end(&mut self, blob: &Measured) -> io::Result<()> {
        let Some(out) = self.blob.take() else { return Err(io::Error::other("no blob was begun")) };
        let temporary = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        temporary.persist(self.stage.path().join(blob.blob_path()))?;
        self.blobs.push(blob.blob_path());
        Ok(())
    }

    fn commit(mut self: Box<Self>, entry: Descriptor) -> Result<()> {
        let destination = self.destination.clone();
        let done = match self.existing.take() {
            Some(entries) => self.merge(entry, entries),
            None => self.publish(entry),
        };
        done.map_err(write_error(&destination))
    }
}
