//! A layer put into a directory of its own (containerd's `pkg/archive`, `applyNaive`).

use std::collections::{BTreeSet, HashSet};
use std::io::{self, Read};

use micrun_firmware::Sha256Digest;

use super::path;
use super::resolve::{check, root_path};
use super::tar::{Entries, Entry, Type};
use super::tree::{Content, Directory, Id, Kind, Meta, Node, Place, ROOT, Tree};
use super::{Budget, malformed, quoted};

/// What a file that a layer deletes is called (image-spec, layer.md).
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// A layer: its entries in a tree of their own.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) tree: Tree,
}

impl Layer {
    /// Reads the layer `number`, whose tar is `tar`, to its last byte.
    ///
    /// The lowest one is put into an empty directory, where a whiteout removes what the layer itself had before. The
    /// others are upper directories of an overlay, where a whiteout is a file of its own.
    pub(crate) fn read(number: usize, mut tar: impl Read, budget: &mut Budget) -> io::Result<Self> {
        let mut entries = Entries::new(&mut tar, budget);
        let mut unpacked = Vec::new();
        while let Some(entry) = entries.next()? {
            let content = match entry.kind {
                Type::File => {
                    let (sha256, size) = Sha256Digest::copy(&mut entries, &mut io::sink())?;
                    let place = Place { layer: number, entry: unpacked.len() };
                    Some(Content { sha256, size, place })
                }
                _ => None,
            };
            unpacked.push((entry, content));
        }
        drop(entries);
        let mut rest = CountedRest { inner: tar, budget };
        io::copy(&mut rest, &mut io::sink())?;
        Self::apply(number == 0, unpacked, budget)
    }

    fn apply(
        lowest: bool,
        entries: impl IntoIterator<Item = (Entry, Option<Content>)>,
        budget: &mut Budget,
    ) -> io::Result<Self> {
        let mut unpacker = Unpacker {
            tree: Tree::default(),
            lowest,
            own: HashSet::new(),
            implied: BTreeSet::new(),
            directories: Vec::new(),
            budget,
        };
        for (entry, content) in entries {
            unpacker.entry(entry, content)?;
        }
        unpacker.finish()
    }
}

struct Unpacker<'b> {
    tree: Tree,
    lowest: bool,
    /// The paths written so far, which a later opaque whiteout in the lowest layer spares.
    own: HashSet<Vec<u8>>,
    /// The directories of the lowest layer that only entries below them have made. It removes these.
    implied: BTreeSet<Vec<u8>>,
    /// The directories whose time is set at the end.
    directories: Vec<Vec<u8>>,
    budget: &'b mut Budget,
}

impl Unpacker<'_> {
    fn entry(&mut self, entry: Entry, content: Option<Content>) -> io::Result<()> {
        let name = path::clean(&entry.path);
        let (above, base) = path::split(&name);
        let above = if above.is_empty() { b"/".to_vec() } else { root_path(&self.tree, above, self.budget)? };
        let base = path::below_root(base);
        let full = path::below_root(&[&above, base.as_slice()].concat());
        if full == b"/" {
            return Ok(());
        }
        check(&full)?;
        // Links make a short name in the tar a long path.
        self.budget.names(full.len())?;
        let parent = self.make_directories(&above)?;
        let (_, base) = path::split(&full);
        if base == OPAQUE {
            return self.opaque(parent, &above);
        }
        if let Some(hidden) = base.strip_prefix(WHITEOUT) {
            return self.whiteout(parent, hidden, &full);
        }
        if let Some(old) = self.tree.child(parent, base)
            && !(self.tree.is_directory(old) && entry.kind == Type::Directory)
        {
            self.tree.unlink(parent, base);
        }
        if entry.kind == Type::Directory {
            self.directories.push(name.clone());
        }
        self.make(parent, base, entry, content)?;
        self.implied.remove(&full);
        self.own.insert(full);
        Ok(())
    }

    fn make(&mut self, parent: Id, base: &[u8], entry: Entry, content: Option<Content>) -> io::Result<()> {
        let Entry { kind, path, target, meta, device, .. } = entry;
        let refuse = |what: &str| Err(malformed(format!("{}: {what}", quoted(&path))));
        let kind = match (kind, content) {
            (Type::Directory, _) => {
                self.directory(parent, base, meta);
                return Ok(());
            }
            (Type::HardLink, _) => return self.hard_link(parent, base, &target, meta),
            (Type::Global, _) => return Ok(()),
            (Type::File, Some(content)) => Kind::File(content),
            (Type::Symlink, _) if target.is_empty() || target.len() > 4095 => {
                return refuse("no link can lead there");
            }
            (Type::Symlink, _) => Kind::Symlink(target),
            // What an overlay takes for a whiteout, whoever made it.
            (Type::Character, _) if device == (0, 0) => Kind::Whiteout,
            (Type::Character, _) => Kind::Device('c', device.0, device.1),
            (Type::Block, _) => Kind::Device('b', device.0, device.1),
            (Type::Fifo, _) => Kind::Fifo,
            (Type::File, None) => return refuse("its content was not read"),
            (Type::Other(flag), _) => {
                return refuse(&format!(
                    "containerd does not unpack entries of the type {:?}",
                    char::from(flag)
                ));
            }
        };
        self.tree.put(parent, base, Node { kind, meta });
        Ok(())
    }

    fn directory(&mut self, parent: Id, base: &[u8], meta: Meta) {
        let id = self.tree.child(parent, base).unwrap_or_else(|| {
            let kind = Kind::Directory(Directory::default());
            self.tree.put(parent, base, Node { kind, meta: Meta::default() })
        });
        let node = &mut self.tree.nodes[id];
        node.meta = meta;
        if let Kind::Directory(directory) = &mut node.kind {
            directory.implied = false;
        }
    }

    fn hard_link(&mut self, parent: Id, base: &[u8], target: &[u8], meta: Meta) -> io::Result<()> {
        let (above, name) = path::split(target);
        let above = root_path(&self.tree, above, self.budget)?;
        let led = path::below_root(&[&above, b"/".as_slice(), name].concat());
        check(&led)?;
        let found = self.tree.find(&led).filter(|id| !self.tree.is_directory(*id));
        let Some(id) = found else {
            return Err(malformed(format!(
                "the hard link to {} leads to no file of its own layer, where containerd looks for it",
                quoted(target)
            )));
        };
        // The owner and the mode are those of the file, whichever name they are given by.
        self.tree.nodes[id].meta = meta;
        self.tree.link(parent, base, id);
        Ok(())
    }

    fn opaque(&mut self, parent: Id, above: &[u8]) -> io::Result<()> {
        if let Kind::Directory(directory) = &mut self.tree.nodes[parent].kind
            && !self.lowest
        {
            directory.opaque = true;
            return Ok(());
        }
        // What the layer itself brought stays. All else was made for what is below it, and goes with that. It goes once,
        // so any number of such whiteouts costs no more than what they remove.
        let start = if above == b"/" { b"/".to_vec() } else { [above, b"/"].concat() };
        while let Some(path) = self.implied.range(start.clone()..).next().cloned() {
            if !path.starts_with(&start) {
                break;
            }
            self.implied.remove(&path);
            self.budget.steps(path::names(&path).count())?;
            let (above, name) = path::split(&path);
            if let Some(parent) = self.tree.find(above) {
                self.tree.unlink(parent, name);
            }
        }
        Ok(())
    }

    fn whiteout(&mut self, parent: Id, hidden: &[u8], full: &[u8]) -> io::Result<()> {
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(malformed(format!("the whiteout {} deletes no file", quoted(full))));
        }
        if self.lowest {
            self.tree.unlink(parent, hidden);
        } else if self.tree.child(parent, hidden).is_some() {
            return Err(malformed(format!(
                "the whiteout {} follows the file in the same layer, which containerd does not unpack",
                quoted(full)
            )));
        } else {
            self.tree.put(parent, hidden, Node { kind: Kind::Whiteout, meta: Meta::default() });
        }
        Ok(())
    }

    /// The directory at a path without links, made if it is missing.
    fn make_directories(&mut self, path: &[u8]) -> io::Result<Id> {
        let (mut at, mut length) = (ROOT, 0);
        for name in path::names(path) {
            self.budget.steps(1)?;
            length += name.len() + 1;
            at = if let Some(id) = self.tree.child(at, name) {
                if !self.tree.is_directory(id) {
                    return Err(malformed(format!("{} is no directory, but it has entries", quoted(path))));
                }
                id
            } else {
                self.budget.entry(length)?;
                let made = &path[..length];
                if self.lowest && !self.own.contains(made) {
                    self.implied.insert(made.to_vec());
                }
                let kind = Kind::Directory(Directory { implied: true, ..Directory::default() });
                self.tree.put(at, name, Node { kind, meta: Meta { mode: 0o755, ..Meta::default() } })
            };
        }
        Ok(at)
    }

    /// At the end containerd sets the times of directories: those that are gone again are an error.
    fn finish(self) -> io::Result<Layer> {
        for name in &self.directories {
            let path = root_path(&self.tree, name, self.budget)?;
            if self.tree.find(&path).is_none() {
                return Err(malformed(format!(
                    "the directory {} is removed again by the layer itself, which containerd does not unpack",
                    quoted(name)
                )));
            }
        }
        Ok(Layer { tree: self.tree })
    }
}

/// What follows the archive, which counts as well.
struct CountedRest<'b, R> {
    inner: R,
    budget: &'b mut Budget,
}

impl<R: Read> Read for CountedRest<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.budget.bytes(read as u64)?;
        Ok(read)
    }
}
