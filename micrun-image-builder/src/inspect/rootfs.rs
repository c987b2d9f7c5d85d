//! A layer unpacked, as far as a shim would look, and its files measured on the way.

use std::collections::{BTreeMap, BTreeSet};
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
    /// The symbolic and hard links it adds.
    pub(crate) links: Vec<String>,
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
    let mut layer = Layer { root, seen: BTreeSet::new(), changes: Changes::default() };
    for (count, entry) in archive.entries()?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(io::Error::other(format!("it has more than {MAX_ENTRIES} entries")));
        }
        layer.entry(&mut entry?)?;
    }
    let diff = archive.into_inner().drain()?;
    let Changes { files, deleted, links, skipped } = layer.changes;
    Ok(Applied { diff, files, deleted, links, skipped })
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
    /// The paths changed so far, directories aside.
    seen: BTreeSet<String>,
    changes: Changes,
}

/// [`Applied`], before the last byte is read.
#[derive(Default)]
struct Changes {
    files: BTreeMap<String, FileFacts>,
    deleted: Vec<String>,
    links: Vec<String>,
    skipped: Vec<String>,
}

impl Layer<'_> {
    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> io::Result<()> {
        let path = relative(&entry.path()?)?;
        let Some(name) = path.file_name() else { return Ok(()) };
        let name = name.to_string_lossy();
        let parent = path.parent().unwrap_or(Path::new(""));
        if !self.make_parents(parent)? {
            self.changes.skipped.push(format!("/{} (below a symbolic link)", path.display()));
            return Ok(());
        }
        if name == OPAQUE {
            self.changes.deleted.push(parent.to_string_lossy().into_owned());
            return clear(&self.root.join(parent));
        }
        match name.strip_prefix(WHITEOUT) {
            Some("" | "." | "..") => Err(io::Error::other(format!("{} deletes no file", path.display()))),
            Some(hidden) => {
                let path = parent.join(hidden);
                let key = self.once(&path)?;
                self.changes.deleted.push(key);
                remove(&self.root.join(path))
            }
            None if entry.header().entry_type().is_dir() => self.directory(&path),
            None => {
                let key = self.once(&path)?;
                self.add(entry, &self.root.join(path), key)
            }
        }
    }

    /// The name of a path that is changed. Changed twice, readers would disagree about what it is.
    fn once(&mut self, path: &Path) -> io::Result<String> {
        let key = path.to_string_lossy().into_owned();
        if self.seen.insert(key.clone()) {
            return Ok(key);
        }
        Err(io::Error::other(format!("it changes /{key} twice")))
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        if self.seen.contains(path.to_string_lossy().as_ref()) {
            return Err(io::Error::other(format!("it changes /{} twice", path.display())));
        }
        make_directory(&self.root.join(path))
    }

    fn add(&mut self, entry: &mut tar::Entry<'_, impl Read>, target: &Path, key: String) -> io::Result<()> {
        remove(target)?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let mode = entry.header().mode()? & 0o7777;
                let mut content = MeteredReader::new(entry);
                io::copy(&mut content, &mut File::create_new(target)?)?;
                self.changes.files.insert(key, FileFacts { content: content.drain()?, mode });
            }
            EntryType::Symlink => {
                if let Some(link) = entry.link_name()? {
                    std::os::unix::fs::symlink(link, target)?;
                    self.changes.links.push(key);
                }
            }
            EntryType::Link => {
                if let Some(link) = entry.link_name()? {
                    self.hard_link(&relative(&link)?, target, key)?;
                }
            }
            kind => self.changes.skipped.push(format!("/{key} ({kind:?})")),
        }
        Ok(())
    }

    fn hard_link(&mut self, source: &Path, target: &Path, key: String) -> io::Result<()> {
        let plain = self.make_parents(source.parent().unwrap_or(Path::new("")))?
            && fs::symlink_metadata(self.root.join(source)).is_ok_and(|it| it.is_file());
        if !plain {
            self.changes.skipped.push(format!("/{key} (a hard link to no file of the image)"));
            return Ok(());
        }
        fs::hard_link(self.root.join(source), target)?;
        self.changes.links.push(key);
        Ok(())
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
