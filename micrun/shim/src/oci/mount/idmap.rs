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
use super::id_map::IdMap;
use super::point::Point;
use super::{overlay, sys, userns};
use crate::error::{Error, Result};

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
