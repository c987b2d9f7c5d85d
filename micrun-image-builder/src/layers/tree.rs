//! A tree of files in memory: what a directory of the layer's own would hold.

use std::collections::BTreeMap;

use micrun_firmware::Sha256Digest;

use super::path;

/// Owner, mode and time of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Meta {
    /// Permission bits, at most 0o7777.
    pub(crate) mode: u32,
    pub(crate) uid: i64,
    pub(crate) gid: i64,
    /// In seconds since 1970.
    pub(crate) mtime: i64,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Where the content of a file stands: in which layer, counted from 0, and in which of its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) layer: usize,
    pub(crate) entry: usize,
}

/// The content of a regular file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) sha256: Sha256Digest,
    /// In bytes, holes included.
    pub(crate) size: u64,
    pub(crate) place: Place,
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory(Directory),
    File(Content),
    Symlink(Vec<u8>),
    /// A device, by `c` or `b` and its numbers.
    Device(char, i64, i64),
    Fifo,
    /// In a layer that lies above others: what is below is not there.
    Whiteout,
}

/// What is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(super) children: BTreeMap<Vec<u8>, Id>,
    /// It hides what lower layers have in it.
    pub(super) opaque: bool,
    /// No entry made it, only one below it: it looks as in the layers below.
    pub(super) implied: bool,
}

/// A file of any kind. Two names of one file (hard links) are one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) meta: Meta,
}

/// The number of a node.
pub(super) type Id = usize;
pub(super) const ROOT: Id = 0;

/// A tree. What is removed from it stays in memory, out of reach, so nothing is ever walked to be freed.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(super) nodes: Vec<Node>,
}

/// What a walk found: where it is, and what it is.
pub(crate) type Found<'a> = (Vec<u8>, &'a Node);

impl Default for Tree {
    fn default() -> Self {
        let kind = Kind::Directory(Directory { implied: true, ..Directory::default() });
        Self { nodes: vec![Node { kind, meta: Meta { mode: 0o755, ..Meta::default() } }] }
    }
}

impl Tree {
    /// The node at a path of names alone: links are not followed.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.find(path).map(|id| &self.nodes[id])
    }

    /// The names in a directory, and what they stand for. Nothing if it is none.
    pub(crate) fn list(&self, path: &[u8]) -> impl Iterator<Item = (&[u8], &Node)> {
        let children = self.find(path).and_then(|id| self.children(id));
        children.into_iter().flatten().map(|(name, id)| (name.as_slice(), &self.nodes[*id]))
    }

    /// Everything but the root, by path without a leading `/`, directories before what is in them.
    pub(crate) fn walk(&self) -> impl Iterator<Item = Found<'_>> {
        self.below(ROOT, Vec::new())
    }

    pub(super) fn below(&self, id: Id, path: Vec<u8>) -> impl Iterator<Item = Found<'_>> {
        let mut left = vec![(path, id)];
        let mut first = true;
        std::iter::from_fn(move || {
            loop {
                let (path, id) = left.pop()?;
                let children = self.children(id).into_iter().flatten().rev();
                left.extend(children.map(|(name, child)| (join(&path, name), *child)));
                if !std::mem::take(&mut first) {
                    return Some((path, &self.nodes[id]));
                }
            }
        })
    }

    pub(super) fn find(&self, path: &[u8]) -> Option<Id> {
        path::names(path).try_fold(ROOT, |id, name| self.child(id, name))
    }

    pub(super) fn children(&self, id: Id) -> Option<&BTreeMap<Vec<u8>, Id>> {
        match &self.nodes[id].kind {
            Kind::Directory(directory) => Some(&directory.children),
            _ => None,
        }
    }

    pub(super) fn child(&self, id: Id, name: &[u8]) -> Option<Id> {
        self.children(id)?.get(name).copied()
    }

    pub(super) fn is_directory(&self, id: Id) -> bool {
        matches!(self.nodes[id].kind, Kind::Directory(_))
    }

    /// Puts a new node into a directory, in place of what has the name.
    pub(super) fn put(&mut self, parent: Id, name: &[u8], node: Node) -> Id {
        self.nodes.push(node);
        let id = self.nodes.len() - 1;
        self.link(parent, name, id);
        id
    }

    /// Gives a node a name.
    pub(super) fn link(&mut self, parent: Id, name: &[u8], id: Id) {
        if let Kind::Directory(directory) = &mut self.nodes[parent].kind {
            directory.children.insert(name.to_vec(), id);
        }
    }

    pub(super) fn unlink(&mut self, parent: Id, name: &[u8]) -> Option<Id> {
        match &mut self.nodes[parent].kind {
            Kind::Directory(directory) => directory.children.remove(name),
            _ => None,
        }
    }
}

pub(super) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() }
}
