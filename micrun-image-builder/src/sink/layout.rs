//! An oci-layout directory (image-spec, image-layout.md).

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Read as _, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex};
use tempfile::{NamedTempFile, TempDir};

use super::{STAGE, Sink, index_json, layout_json, parent, write_error};
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::interrupt::{self, Unfinished};
use crate::layer::BUFFER;
use crate::names;

/// More than any index of a layout that people keep.
const MAX_INDEX: u64 = 16 << 20;

/// A layout under construction, in a temporary directory.
///
/// A new layout is renamed into place as a whole. Of a layout that exists, blobs are added first and its
/// `index.json` is replaced last, under a lock: its readers see the old images or all of them, and of programs
/// that pack into one layout at the same time, each adds its image.
pub(super) struct Layout {
    stage: TempDir,
    _unfinished: Unfinished,
    destination: PathBuf,
    blob: Option<BufWriter<NamedTempFile>>,
    blobs: Vec<String>,
}

impl Layout {
    pub(super) fn create(destination: &Path) -> Result<Self> {
        let place = if is_layout(destination)? { destination.to_owned() } else { parent(destination) };
        let permissions = Permissions::from_mode(0o777);
        let (unfinished, stage) = Unfinished::create(|| {
            tempfile::Builder::new().prefix(STAGE).permissions(permissions).tempdir_in(place)
        })
        .map_err(write_error(destination))?;
        // Not create_dir_all, which would make the stage again that a signal has removed.
        for directory in ["blobs", "blobs/sha256"] {
            fs::create_dir(stage.path().join(directory)).map_err(write_error(destination))?;
        }
        let destination = destination.to_owned();
        Ok(Self { stage, _unfinished: unfinished, destination, blob: None, blobs: Vec::new() })
    }

    fn temporary(&self) -> io::Result<NamedTempFile> {
        tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(self.stage.path().join("blobs/sha256"))
    }

    /// Writes a file of the stage and waits until the disk has it.
    fn file(&self, name: &str, content: &[u8]) -> io::Result<()> {
        let mut file = File::create(self.stage.path().join(name))?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Puts the finished stage where no layout is yet. `false` if one has appeared there.
    fn publish(&mut self, entries: &[Descriptor]) -> io::Result<bool> {
        self.file("index.json", &index_json(entries.to_vec()))?;
        self.file("oci-layout", &layout_json())?;
        // Renaming onto an empty directory replaces it.
        match fs::rename(self.stage.path(), &self.destination) {
            Ok(()) => {
                // Gone from its temporary place: nothing is left to remove.
                self.stage.disable_cleanup(true);
                sync(&parent(&self.destination))?;
                Ok(true)
            }
            Err(e) if matches!(e.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) => {
                Ok(false)
            }
            Err(e) => Err(e),
        }
    }

    /// Adds what is staged to the layout that is there.
    fn merge(&self, new: Vec<Descriptor>, replaced: &[String]) -> Result<()> {
        let write = || write_error(&self.destination);
        let _lock = lock(&self.destination).map_err(write())?;
        // Read under the lock: another program may have added images since this one began.
        let mut entries = entries(&self.destination.join("index.json"))?;
        entries.retain(|it| !replaced.contains(&it.digest().to_string()));
        for entry in new {
            names::insert(&mut entries, entry);
        }
        self.replace(entries).map_err(write())
    }

    fn replace(&self, entries: Vec<Descriptor>) -> io::Result<()> {
        let _whole = interrupt::finishing();
        let blobs = self.destination.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        for blob in &self.blobs {
            fs::rename(self.stage.path().join(blob), self.destination.join(blob))?;
        }
        sync(&blobs)?;
        self.file("index.json", &index_json(entries))?;
        fs::rename(self.stage.path().join("index.json"), self.destination.join("index.json"))?;
        sync(&self.destination)
    }
}

/// Whether a layout is at `destination`. If not, nothing is there, or an empty directory.
fn is_layout(destination: &Path) -> Result<bool> {
    let refuse = |reason| Err(Error::Destination { path: destination.to_owned(), reason });
    let mut files = match fs::read_dir(destination) {
        Ok(files) => files,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        Err(e) if e.kind() == ErrorKind::NotADirectory => {
            return refuse(
                "a file of that name exists; name an archive FILE.tar[.gz|.zst|.xz], or give the layout another name",
            );
        }
        Err(source) => return Err(Error::Read { path: destination.to_owned(), source }),
    };
    if files.next().is_none() {
        return Ok(false);
    }
    if !destination.join("oci-layout").is_file() {
        return refuse("the directory is neither empty nor an OCI image layout; choose another");
    }
    Ok(true)
}

/// What an `index.json` lists.
fn entries(path: &Path) -> Result<Vec<Descriptor>> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let mut text = Vec::new();
    File::open(path).map_err(read)?.take(MAX_INDEX).read_to_end(&mut text).map_err(read)?;
    let index: ImageIndex = serde_json::from_slice(&text)
        .map_err(|source| Error::Json { name: path.display().to_string(), source })?;
    Ok(index.manifests().clone())
}

/// Waits until no other program changes the layout. The lock ends with the file, and with the program.
///
/// Its file is `oci-layout`, which every layout has and nobody replaces. NFS gives an exclusive lock only to those who
/// may write; elsewhere reading is enough, and the file may be another user's.
fn lock(layout: &Path) -> io::Result<File> {
    let path = layout.join("oci-layout");
    let file = File::options().read(true).write(true).open(&path).or_else(|_| File::open(&path))?;
    file.lock()?;
    Ok(file)
}

/// Waits until the disk has the names in a directory.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
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
        temporary.as_file().sync_all()?;
        temporary.persist(self.stage.path().join(blob.blob_path()))?;
        self.blobs.push(blob.blob_path());
        Ok(())
    }

    fn commit(mut self: Box<Self>, image: Stored) -> Result<()> {
        let entries = image.entries();
        let there = is_layout(&self.destination)?;
        if !there && self.publish(&entries).map_err(write_error(&self.destination))? {
            return Ok(());
        }
        self.merge(entries, &image.replaced)
    }
}
