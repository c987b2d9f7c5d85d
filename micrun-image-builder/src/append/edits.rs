//! What a layer changes, upon the files of the image.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::Path;

use micrun_firmware::record::{Change, Content, LayerRecord};
use micrun_firmware::{MAX_FIRMWARE_SIZE, Sha256Digest};

use super::firmware::Made;
use crate::error::{Error, Result};
use crate::image_path::ImagePath;
use crate::layer::FILE_MODE;
use crate::layers::{self, Kind, Meta, Node, Place, Stack};
use crate::view::View;

/// The changes of one layer, by path without a leading `/`.
pub(super) struct Edits<'a> {
    /// The image as it was.
    pub(super) root: View<'a>,
    files: BTreeMap<String, Edit>,
}

/// What becomes of a file.
pub(super) enum Edit {
    Delete,
    /// This content, which is open and nobody else's.
    Put(File),
    /// Another name of a file that is put, and whose path comes before.
    Link {
        target: String,
    },
}

/// One change that makes a difference.
pub(super) struct Changed {
    pub(super) path: String,
    pub(super) before: Option<Sha256Digest>,
    /// The new content, its digest and its size.
    pub(super) after: Option<(File, Sha256Digest, u64)>,
    /// The file of the same layer that it is another name of.
    pub(super) link: Option<String>,
}

impl<'a> Edits<'a> {
    pub(super) fn new(root: View<'a>) -> Self {
        Self { root, files: BTreeMap::new() }
    }

    /// Adds or replaces a file by one of the host's.
    pub(super) fn add_file(&mut self, path: &str, host: &Path) -> Result<()> {
        let read = |source| Error::Read { path: host.to_owned(), source };
        let found = fs::metadata(host).map_err(read)?;
        if !found.is_file() || found.len() > MAX_FIRMWARE_SIZE {
            let reason = format!("only a regular file of at most {MAX_FIRMWARE_SIZE} bytes can be added");
            return Err(Error::Refused { path: host.to_owned(), reason });
        }
        let mut copy = temporary()?;
        let mut file = File::open(host).map_err(read)?;
        io::copy(&mut file, &mut copy).map_err(read)?;
        self.put(path, copy)
    }

    pub(super) fn put_bytes(&mut self, path: &str, bytes: &[u8]) -> Result<()> {
        let mut copy = temporary()?;
        copy.write_all(bytes).map_err(write_error)?;
        self.put(path, copy)
    }

    pub(super) fn put(&mut self, path: &str, content: File) -> Result<()> {
        self.set(path, Edit::Put(content))
    }

    /// Puts one content under two paths.
    pub(super) fn put_twice(&mut self, paths: [&str; 2], content: File) -> Result<()> {
        let [first, second] = if paths[0] < paths[1] { paths } else { [paths[1], paths[0]] };
        self.put(first, content)?;
        self.set(second, Edit::Link { target: clean(first)? })
    }

    pub(super) fn delete(&mut self, path: &str) -> Result<()> {
        let key = clean(path)?;
        if self.before(&key)?.is_none() {
            return Err(argument(path, "the image has no such file"));
        }
        self.set(path, Edit::Delete)
    }

    fn set(&mut self, path: &str, edit: Edit) -> Result<()> {
        match self.files.insert(clean(path)?, edit) {
            Some(_) => Err(argument(path, "it is changed twice")),
            None => Ok(()),
        }
    }

    /// The digest of the image's file; nothing if there is none. No link is followed.
    fn before(&self, path: &str) -> Result<Option<Sha256Digest>> {
        let mut above: Vec<_> = parents(path).collect();
        above.reverse();
        for directory in above {
            match self.root.tree.get(directory.as_bytes()) {
                None => return Ok(None),
                Some(Node { kind: Kind::Directory(_), .. }) => {}
                Some(_) => return Err(argument(path, "a part of it is no directory of the image")),
            }
        }
        match self.root.tree.get(path.as_bytes()) {
            None => Ok(None),
            Some(Node { kind: Kind::File(content), .. }) => Ok(Some(content.sha256)),
            Some(_) => Err(argument(path, "the image has something there that is not a regular file")),
        }
    }

    /// The directories above a path that the image does not have yet.
    pub(super) fn missing_directories(&self, path: &str) -> Vec<String> {
        let is_directory = |path: &str| {
            self.root.tree.get(path.as_bytes()).is_some_and(|it| matches!(it.kind, Kind::Directory(_)))
        };
        parents(path).filter(|it| !is_directory(it)).map(str::to_owned).collect()
    }

    /// The edits that change something, in the order of their paths.
    pub(super) fn changed(&self) -> Result<Vec<Changed>> {
        let mut changed = Vec::new();
        for (path, edit) in &self.files {
            let before = self.before(path)?;
            let (after, link) = match edit {
                Edit::Delete => (None, None),
                Edit::Put(file) => (Some(file), None),
                Edit::Link { target } => match self.files.get(target) {
                    Some(Edit::Put(file)) => (Some(file), Some(target)),
                    _ => return Err(argument(path, "it is a link to a file that is not put")),
                },
            };
            let after = after.map(measured).transpose()?;
            if before != after.as_ref().map(|it| it.1) {
                let is_there = |target: &&String| changed.iter().any(|it: &Changed| it.path == **target);
                let link = link.filter(is_there).cloned();
                changed.push(Changed { path: path.clone(), before, after, link });
            }
        }
        Ok(changed)
    }
}

/// What a container sees once these changes are made. Their files stand in the layer `number`, at their places here.
pub(super) fn applied(mut stack: Stack, changed: &[Changed], number: usize) -> Stack {
    for (entry, Changed { path, after, .. }) in changed.iter().enumerate() {
        let node = after.as_ref().map(|(_, sha256, size)| {
            let place = Place { layer: number, entry };
            let kind = Kind::File(layers::Content { sha256: *sha256, size: *size, place });
            Node { kind, meta: Meta { mode: FILE_MODE, ..Meta::default() } }
        });
        stack.set(path.as_bytes(), node);
    }
    stack
}

/// The directories above a path, from the nearest on, but for the root.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.rmatch_indices('/').map(|(at, _)| &path[..at])
}

fn measured(file: &File) -> Result<(File, Sha256Digest, u64)> {
    let mut file = file.try_clone().map_err(write_error)?;
    file.rewind().map_err(write_error)?;
    let (sha256, size) = Sha256Digest::copy(&mut file, &mut io::sink()).map_err(write_error)?;
    Ok((file, sha256, size))
}

/// The record of the layer that makes these changes.
pub(super) fn record(changed: &[Changed], made: Option<&Made>) -> Result<LayerRecord> {
    let mut record = LayerRecord::default();
    for Changed { path, before, after, .. } in changed {
        let content = after.as_ref().map(|(_, sha256, size)| {
            let plain = Content { mode: FILE_MODE, sha256: *sha256, size: *size, elf: None, changes: None };
            match made.filter(|made| made.place == *path) {
                Some(made) if made.is_delta => Content { changes: made.content.changes.clone(), ..plain },
                Some(made) => made.content.clone(),
                None => plain,
            }
        });
        if let Some(change) = Change::between(*before, content) {
            record.insert(&format!("/{path}"), change)?;
        }
    }
    Ok(record)
}

/// A file of the host's temporary directory without a name.
pub(super) fn temporary() -> Result<File> {
    tempfile::tempfile().map_err(write_error)
}

pub(super) fn write_error(source: io::Error) -> Error {
    Error::Write { path: std::env::temp_dir(), source }
}

/// A path without a leading `/`, as records and tars have it.
fn clean(path: &str) -> Result<String> {
    let parsed: ImagePath = path.parse().map_err(|reason| argument(path, reason))?;
    Ok(parsed.as_str().to_owned())
}

fn argument(path: &str, reason: &str) -> Error {
    Error::Argument { what: "path", value: path.to_owned(), reason: reason.to_owned() }
}
