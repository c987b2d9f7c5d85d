//! What a container would find in the image: the applied layers as a root file system for the shim's own code.

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use micrun_firmware::Error as FirmwareError;
use micrun_firmware::rootfs::{RootFile, Rootfs};
use nix::sys::memfd::{MFdFlags, memfd_create};
use oci_spec::image::Descriptor;

use crate::checked;
use crate::layers::{Budget, Content, Kind, Tree, read_files};
use crate::source::Source;
use crate::text::printable;

/// As the shim's own walk (`micrun_firmware::rootfs`).
const MAX_LINKS: usize = 40;
const MAX_DEPTH: usize = 64;

/// The layers of an image, and the files that they give.
pub(crate) struct View<'a> {
    pub(crate) source: &'a Source,
    pub(crate) layers: &'a [Descriptor],
    pub(crate) tree: &'a Tree,
    /// The files of a layer above, which is not stored yet.
    pub(crate) own: &'a [Option<&'a File>],
    /// What fetching files may still cost.
    pub(crate) budget: &'a RefCell<Budget>,
}

impl View<'_> {
    /// A file in memory with the content of one of the image.
    pub(crate) fn content(&self, content: &Content) -> io::Result<File> {
        let mut copy = None;
        self.contents(content.place.layer, &BTreeSet::from([content.place.entry]), |_, file| {
            copy = Some(file);
            Ok(())
        })?;
        copy.ok_or_else(|| io::Error::other("no such file in its layer"))
    }

    /// The same of several files of one layer, which is read once. `wanted` are the numbers of their entries.
    pub(crate) fn contents(
        &self,
        layer: usize,
        wanted: &BTreeSet<usize>,
        mut take: impl FnMut(usize, File) -> io::Result<()>,
    ) -> io::Result<()> {
        if layer == self.layers.len() {
            let own = |number: &usize| Some((*number, (*self.own.get(*number)?)?));
            return wanted.iter().filter_map(own).try_for_each(|(number, mut file)| {
                file.rewind()?;
                take(number, in_memory(&mut file)?)
            });
        }
        let descriptor = self.layers.get(layer).ok_or_else(|| io::Error::other("no such layer"))?;
        let tar = checked::tar(self.source, descriptor)?;
        read_files(tar, wanted, &mut self.budget.borrow_mut(), |number, from| take(number, in_memory(from)?))
    }

    /// Follows a path as the shim does: each link by itself, none out of the image.
    fn find(&self, path: &str, asked_by: &str) -> Result<(Vec<Vec<u8>>, Content), FirmwareError> {
        let shown = || printable(path);
        let unusable = |reason: &str| FirmwareError::Unusable { path: shown(), reason: reason.to_owned() };
        let mut last_link: Option<Vec<u8>> = None;
        let mut links = 0;
        let mut way: Vec<Vec<u8>> = Vec::new();
        let mut names = names(path.as_bytes());
        while let Some(name) = names.pop_front() {
            if name == b".." {
                let reason = "a symbolic link leads out of the rootfs".to_owned();
                way.pop().ok_or_else(|| FirmwareError::Escape { path: shown(), reason })?;
                continue;
            }
            way.push(name);
            let Some(node) = self.tree.get(&way.join(&b'/')) else {
                let looked_for = match &last_link {
                    Some(target) => {
                        let target = String::from_utf8_lossy(target);
                        format!(
                            "{asked_by}; the symbolic link to {target:?} leads to nothing inside the image"
                        )
                    }
                    None => asked_by.to_owned(),
                };
                return Err(FirmwareError::NotFound { path: shown(), looked_for });
            };
            match &node.kind {
                Kind::Symlink(target) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(unusable("it leads through more than 40 symbolic links"));
                    }
                    way.pop();
                    if target.starts_with(b"/") {
                        way.clear();
                    }
                    for name in self::names(target).into_iter().rev() {
                        names.push_front(name);
                    }
                    last_link = Some(target.clone());
                }
                Kind::Directory(_) if way.len() > MAX_DEPTH => {
                    return Err(unusable("it is more than 64 directories deep"));
                }
                Kind::Directory(_) => {}
                Kind::File(content) if names.is_empty() => return Ok((way, *content)),
                Kind::File(_) => return Err(unusable("a file is where a directory should be")),
                Kind::Device(..) | Kind::Fifo | Kind::Whiteout => {
                    return Err(unusable("it is a device, a pipe or a socket; give a regular file"));
                }
            }
        }
        Err(unusable("it is a directory; give a regular file"))
    }
}

impl Rootfs for View<'_> {
    fn open(&self, path: &str, limit: u64, asked_by: &str) -> Result<RootFile, FirmwareError> {
        if path.split('/').any(|name| name == "..") {
            let reason = "it contains \"..\"".to_owned();
            return Err(FirmwareError::Escape { path: printable(path), reason });
        }
        let (way, content) = self.find(path, asked_by)?;
        if content.size > limit {
            let reason = format!("it has {} bytes, more than the {limit} allowed", content.size);
            return Err(FirmwareError::Unusable { path: printable(path), reason });
        }
        let file = self.content(&content).map_err(|source| FirmwareError::Io {
            action: "read",
            path: printable(path),
            source,
        })?;
        let inside = PathBuf::from(OsString::from_vec(way.join(&b'/')));
        let path = Path::new("/").join(inside);
        Ok(RootFile { file, host_path: path.clone(), path, size: content.size })
    }

    fn has(&self, name: &str) -> bool {
        self.tree.get(name.as_bytes()).is_some()
    }

    fn names(&self) -> Result<Vec<String>, FirmwareError> {
        let files = self.tree.list(b"").filter(|(_, node)| !matches!(node.kind, Kind::Directory(_)));
        Ok(files.filter_map(|(name, _)| String::from_utf8(name.to_vec()).ok()).collect())
    }
}

fn in_memory(from: &mut dyn Read) -> io::Result<File> {
    let mut file = BufWriter::new(File::from(memfd_create(c"image file", MFdFlags::MFD_CLOEXEC)?));
    io::copy(from, &mut file)?;
    let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// The names of a path, without those that stay in place.
fn names(path: &[u8]) -> VecDeque<Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    parts.map(<[u8]>::to_vec).collect()
}
