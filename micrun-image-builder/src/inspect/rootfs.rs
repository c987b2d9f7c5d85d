//! A layer unpacked, as far as a shim would look, and its files measured on the way.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use crate::digest::{Measured, MeteredReader};

/// A layer is read up to this many bytes; firmware is limited to far less.
const MAX_LAYER: u64 = 512 << 20;
const MAX_ENTRIES: usize = 100_000;
/// What a file that a layer deletes is called (image-spec, layer.md).
const WHITEOUT: &str = ".wh.";
const OPAQUE: &str = ".wh..wh..opq";

/// What a layer did.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The tar before compression.
    pub(crate) diff: Measured,
    /// The regular files it adds, by path without a leading slash.
    pub(crate) files: BTreeMap<String, FileFacts>,
    /// The paths it deletes.
    pub(crate) deleted: Vec<String>,
    /// Entries that were not unpacked, and why.
    pub(crate) skipped: Vec<String>,
}

/// One file of a layer.
#[derive(Debug)]
pub(crate) struct FileFacts {
    pub(crate) content: Measured,
    pub(crate) mode: u32,
}

/// Unpacks a layer over `root`, a directory that nobody else writes to.
///
/// Only directories, regular files and links appear there, all below `root`: nothing is written through a
/// symbolic link that the image brought along.
pub(crate) fn apply(root: &Path, layer: impl Read) -> io::Result<Applied> {
    let tar = MeteredReader::new(Limited { inner: decoder(layer)?, left: MAX_LAYER });
    let mut archive = tar::Archive::new(tar);
    let mut applied = Layer { root, files: BTreeMap::new(), deleted: Vec::new(), skipped: Vec::new() };
    for (count, entry) in archive.entries()?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAX_ENTRIES} entries")));
        }
        applied.entry(&mut entry?)?;
    }
    let diff = archive.into_inner().drain()?;
    let Layer { files, deleted, skipped, .. } = applied;
    Ok(Applied { diff, files, deleted, skipped })
}

/// The tar inside, whichever way it is compressed: by its first bytes, as containerd does.
fn decoder<'a>(layer: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut layer = BufReader::with_capacity(1 << 17, layer);
    let start = layer.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(layer))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::Decoder::with_buffer(layer)?)
    } else {
        Box::new(layer)
    })
}

struct Layer<'a> {
    root: &'a Path,
    files: BTreeMap<String, FileFacts>,
    deleted: Vec<String>,
    skipped: Vec<String>,
}

impl Layer<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
        let path = relative(&entry.path()?)?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let name = name.to_string_lossy().into_owned();
        let key = path.to_string_lossy().into_owned();
        let parent = path.parent().unwrap_or(Path::new(""));
        if !self.make_parents(parent)? {
            self.skipped.push(format!("/{key} (below a symbolic link)"));
            return Ok(());
        }
        let target = self.root.join(&path);
        if name == OPAQUE {
            self.deleted.push(parent.to_string_lossy().into_owned());
            return clear(&self.root.join(parent));
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT) {
            if matches!(hidden, "" | "." | "..") {
                return Err(io::Error::other(format!("{key:?} deletes no file")));
            }
            self.deleted.push(parent.join(hidden).to_string_lossy().into_owned());
            return remove(&self.root.join(parent).join(hidden));
        }
        match entry.header().entry_type() {
            EntryType::Directory => make_directory(&target),
            EntryType::Regular | EntryType::Continuous => {
                remove(&target)?;
                let mode = entry.header().mode()? & 0o7777;
                let mut content = MeteredReader::new(entry);
                io::copy(&mut content, &mut File::create_new(&target)?)?;
                self.files.insert(key, FileFacts { content: content.drain()?, mode });
                Ok(())
            }
            EntryType::Symlink => {
                let Some(link) = entry.link_name()? else { return Ok(()) };
                remove(&target)?;
                std::os::unix::fs::symlink(link, &target)
            }
            EntryType::Link => {
                let Some(link) = entry.link_name()? else { return Ok(()) };
                self.hard_link(&relative(&link)?, &target, &key)
            }
            kind => {
                self.skipped.push(format!("/{key} ({kind:?})"));
                Ok(())
            }
        }
    }

    fn hard_link(&mut self, source: &Path, target: &Path, key: &str) -> io::Result<()> {
        let plain = self.make_parents(source.parent().unwrap_or(Path::new("")))?
            && fs::symlink_metadata(self.root.join(source)).is_ok_and(|it| it.is_file());
        if !plain {
            self.skipped.push(format!("/{key} (a hard link to no file of the image)"));
            return Ok(());
        }
        remove(target)?;
        fs::hard_link(self.root.join(source), target)
    }

    /// Makes the directories above an entry. False if one of them is something else, such as a symbolic link.
    fn make_parents(&self, parent: &Path) -> io::Result<bool> {
        let mut directory = self.root.to_owned();
        for part in parent {
            directory.push(part);
            match fs::symlink_metadata(&directory) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Ok(false),
                Err(e) if e.kind() == io::ErrorKind::NotFound => fs::create_dir(&directory)?,
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }
}

/// A path of the archive, without a leading `/` or `./`. `..` never occurs in an honest layer.
fn relative(path: &Path) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => clean.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(io::Error::other(format!("the path {} leaves the root", path.display())));
            }
        }
    }
    Ok(clean)
}

fn make_directory(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    fs::create_dir(path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

fn clear(directory: &Path) -> io::Result<()> {
    fs::read_dir(directory)?.try_for_each(|entry| remove(&entry?.path()))
}

/// Fails, rather than ends, when there is more than it may read.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::other(format!("it unpacks to more than {MAX_LAYER} bytes")))?;
        Ok(read)
    }
}
