//! Idmapped mounts: the files of an image get the owners that a user namespace has for them, without a copy.
//!
//! overlayfs wants its lower layers mapped, every other file system the mount itself. Both are prepared in a mount
//! namespace that lives no longer than the thread that made it: whatever happens, nothing of it is left.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, move_mount, open_tree};

use super::apart::in_a_copy_of_the_namespace;
use super::point::Point;
use super::{overlay, sys, userns};
use crate::error::{Error, Result};

/// Which owner is seen as which, as lines of `uid_map` and `gid_map` (`user_namespaces(7)`).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IdMap {
    /// `CONTAINER HOST SIZE`, a range a line.
    pub users: String,
    /// The same of groups.
    pub groups: String,
}

impl IdMap {
    /// Reads two lists `CONTAINER:HOST:SIZE,...`; gives the reason when they are none.
    pub(super) fn parse(users: &str, groups: &str) -> Result<Self, String> {
        Ok(Self { users: ranges(users)?, groups: ranges(groups)? })
    }
}

fn ranges(list: &str) -> Result<String, String> {
    let ranges = list.split(',').map(|range| {
        let numbers: Option<Vec<u32>> = range.split(':').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some([container, host, size]) => Ok(format!("{container} {host} {size}\n")),
            _ => Err(format!("`{range}` is not an id mapping of the form CONTAINER:HOST:SIZE")),
        }
    });
    ranges.collect()
}

/// Has `attach` mount on `target` below `root` in a namespace of its own, and gives the mount, mapped and detached.
pub(super) fn detached(
    map: &IdMap,
    layers: Option<&[&str]>,
    (root, target): (&Path, &str),
    attach: impl FnOnce(&Point) -> Result<()> + Send,
) -> Result<OwnedFd> {
    let users = userns::make(map)?;
    in_a_copy_of_the_namespace(|| {
        for layer in layers.unwrap_or_default() {
            map_layer(Path::new(&*overlay::unescape(layer)), &users)?;
        }
        attach(&Point::open(root, target)?)?;
        let mounted = Point::open(root, target)?;
        let flags = OpenTreeFlags::AT_EMPTY_PATH | OpenTreeFlags::AT_RECURSIVE;
        let failed = |errno| Error::io("copy the mount at", root.join(target))(errno);
        let tree = open_tree(&mounted, "", flags | CLONE).map_err(|errno| failed(errno.into()))?;
        if layers.is_none() {
            let failed = Error::io("map the owners of files in", root.join(target));
            sys::map_owners(tree.as_fd(), users.as_fd()).map_err(|errno| failed(errno.into()))?;
        }
        Ok(tree)
    })
}

const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

/// Covers a layer with a mapped view of itself.
fn map_layer(layer: &Path, users: &File) -> Result<()> {
    let failed = |errno| Error::io("map the owners of files in", layer)(errno);
    let view = open_tree(CWD, layer, CLONE).map_err(|errno| failed(errno.into()))?;
    sys::map_owners(view.as_fd(), users.as_fd()).map_err(|errno| failed(errno.into()))?;
    move_mount(&view, "", CWD, layer, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|errno| failed(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_lines() {
        let map = IdMap::parse("0:100000:1000,1000:200000:1", "0:4294967294:1").unwrap();
        assert_eq!(map.users, "0 100000 1000\n1000 200000 1\n");
        assert_eq!(map.groups, "0 4294967294 1\n");
    }

    #[test]
    fn anything_else_is_no_mapping() {
        for list in ["", "0", "0:1", "0:1:2:3", "0:-1:2", "0:1:x", "0:1:2,", "0:4294967296:1", "0 1 2"] {
            assert!(IdMap::parse(list, "0:0:1").unwrap_err().contains("CONTAINER:HOST:SIZE"), "{list}");
        }
    }
}
