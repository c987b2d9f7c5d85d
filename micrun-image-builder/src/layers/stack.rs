//! The layers of an image, one over the other as overlayfs lays them.

use std::io;

use super::Budget;
use super::apply::Layer;
use super::path;
use super::resolve::root_path;
use super::tree::{Directory, Id, Kind, Meta, Node, ROOT, Tree, join};

/// What a layer changes at a path. Directories are not listed, what is in them is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// Without a leading `/`.
    pub(crate) path: Vec<u8>,
    /// What the layers below have there.
    pub(crate) before: Option<Node>,
    /// What this layer has there. `None` if it removes what was.
    pub(crate) after: Option<Node>,
}

/// What a container sees of the layers so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stack {
    tree: Tree,
}

impl Stack {
    /// What is visible.
    pub(crate) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Lays a layer over the others. What it changes, by path, removals before what comes in their place.
    pub(crate) fn push(&mut self, layer: Layer, budget: &mut Budget) -> io::Result<Vec<Change>> {
        let base = self.tree.nodes.len();
        self.tree.nodes.extend(layer.tree.nodes.into_iter().map(|mut node| {
            if let Kind::Directory(directory) = &mut node.kind {
                directory.children.values_mut().for_each(|id| *id += base);
            }
            node
        }));
        let mut changes = Vec::new();
        // A root is never opaque: overlayfs always merges it.
        let mut left = vec![(ROOT, base, Vec::new(), true)];
        while let Some((lower, upper, path, is_root)) = left.pop() {
            let (children, opaque) = match &mut self.tree.nodes[upper].kind {
                Kind::Directory(it) => (std::mem::take(&mut it.children), it.opaque && !is_root),
                _ => continue,
            };
            self.take_meta(lower, upper);
            budget.steps(children.len())?;
            if opaque {
                let hidden: Vec<_> = self.tree.children(lower).into_iter().flatten().collect();
                let hidden: Vec<_> = hidden.into_iter().map(|(name, id)| (name.clone(), *id)).collect();
                budget.steps(hidden.len())?;
                for (name, id) in hidden {
                    if !children.contains_key(&name) || self.tree.is_directory(id) {
                        self.removed(id, &join(&path, &name), &mut changes);
                        self.tree.unlink(lower, &name);
                    }
                }
            }
            for (name, upper) in children {
                let path = join(&path, &name);
                let below = self.tree.child(lower, &name);
                if let Some(below) = below
                    && self.tree.is_directory(below)
                    && self.tree.is_directory(upper)
                {
                    left.push((below, upper, path, false));
                    continue;
                }
                if below.is_some_and(|id| matches!(self.tree.nodes[id].kind, Kind::Symlink(_))) {
                    self.take_meta_through_link(upper, &path, budget)?;
                }
                let before = changes.len();
                self.replace(lower, &name, (below, upper), &path, &mut changes);
                budget.steps(changes.len() - before)?;
            }
        }
        changes.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(changes)
    }

    /// Puts a node at a path of names alone, in place of what is there, or nothing. Directories above it are made.
    pub(crate) fn set(&mut self, path: &[u8], node: Option<Node>) {
        let (above, name) = path::split(path);
        let Some(node) = node else {
            if let Some(parent) = self.tree.find(above) {
                self.tree.unlink(parent, name);
            }
            return;
        };
        let mut at = ROOT;
        for name in path::names(above) {
            at = self.tree.child(at, name).unwrap_or_else(|| {
                let meta = Meta { mode: 0o755, ..Meta::default() };
                self.tree.put(at, name, Node { kind: Kind::Directory(Directory::default()), meta })
            });
        }
        self.tree.put(at, name, node);
    }

    /// A directory that the layer names itself looks as it says.
    fn take_meta(&mut self, lower: Id, upper: Id) {
        if let Kind::Directory(directory) = &self.tree.nodes[upper].kind
            && !directory.implied
        {
            let meta = std::mem::take(&mut self.tree.nodes[upper].meta);
            self.tree.nodes[lower].meta = meta;
        }
    }

    /// A directory that the layer does not name looks as the one below, to which containerd follows links.
    fn take_meta_through_link(&mut self, upper: Id, path: &[u8], budget: &mut Budget) -> io::Result<()> {
        let mut left = vec![(upper, path.to_owned())];
        while let Some((id, path)) = left.pop() {
            let Kind::Directory(Directory { children, implied: true, .. }) = &self.tree.nodes[id].kind else {
                continue;
            };
            left.extend(children.iter().map(|(name, id)| (*id, join(&path, name))));
            let led = root_path(&self.tree, &path, budget)?;
            if let Some(below) = self.tree.find(&led).filter(|id| self.tree.is_directory(*id)) {
                self.tree.nodes[id].meta = self.tree.nodes[below].meta.clone();
            }
        }
        Ok(())
    }

    /// Puts what the layer has at a path in place of what was.
    fn replace(
        &mut self,
        parent: Id,
        name: &[u8],
        (below, upper): (Option<Id>, Id),
        path: &[u8],
        changes: &mut Vec<Change>,
    ) {
        let is_file = |id: Id| !self.tree.is_directory(id);
        let before = below.filter(|id| is_file(*id)).map(|id| self.tree.nodes[id].clone());
        if let Some(below) = below.filter(|id| self.tree.is_directory(*id)) {
            self.removed(below, path, changes);
        }
        self.tree.unlink(parent, name);
        if matches!(self.tree.nodes[upper].kind, Kind::Whiteout) {
            if before.is_some() {
                changes.push(Change { path: path.to_owned(), before, after: None });
            }
            return;
        }
        self.without_whiteouts(upper);
        self.tree.link(parent, name, upper);
        if self.tree.is_directory(upper) {
            if before.is_some() {
                changes.push(Change { path: path.to_owned(), before, after: None });
            }
            let files = self.tree.below(upper, path.to_owned()).filter(|(_, node)| !is_directory(node));
            changes.extend(files.map(|(path, node)| Change {
                path,
                before: None,
                after: Some(node.clone()),
            }));
        } else {
            let after = Some(self.tree.nodes[upper].clone());
            changes.push(Change { path: path.to_owned(), before, after });
        }
    }

    /// Lists what disappears with a node.
    fn removed(&self, id: Id, path: &[u8], changes: &mut Vec<Change>) {
        let below = self.tree.below(id, path.to_owned()).filter(|(_, node)| !is_directory(node));
        let itself = Some((path.to_owned(), &self.tree.nodes[id])).filter(|(_, node)| !is_directory(node));
        changes.extend(itself.into_iter().chain(below).map(|(path, node)| Change {
            path,
            before: Some(node.clone()),
            after: None,
        }));
    }

    /// Where nothing is below, a whiteout is nothing.
    fn without_whiteouts(&mut self, id: Id) {
        let mut left = vec![id];
        while let Some(id) = left.pop() {
            let children: Vec<_> = self.tree.children(id).into_iter().flatten().collect();
            let children: Vec<_> = children.into_iter().map(|(name, id)| (name.clone(), *id)).collect();
            for (name, child) in children {
                match self.tree.nodes[child].kind {
                    Kind::Whiteout => {
                        self.tree.unlink(id, &name);
                    }
                    Kind::Directory(_) => left.push(child),
                    _ => {}
                }
            }
        }
    }
}

fn is_directory(node: &Node) -> bool {
    matches!(node.kind, Kind::Directory(_))
}
