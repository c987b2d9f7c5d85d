//! Mounting the root file system that containerd describes in Create, and taking it away again.
//!
//! The contract is that of containerd's mount library (`core/mount`): the same options, limits and types. What is
//! lacking here is refused; nothing is passed to the kernel that it would cut or ignore.
//!
//! | | |
//! |---|---|
//! | `options` | the words of mount(8) |
//! | `point` | where a mount goes; never out of the root file system |
//! | `attach` | one mount |
//! | `overlay`, `piecewise` | lists of layers that are longer than a page |
//! | `id_map`, `idmap`, `userns` | owners of files as a user namespace has them |
//! | `loop_device`, `fuse` | a file, or a program, that is a file system |
//! | `unmount` | the way back |
//!
//! All of it blocks, and may be called on any thread.

mod apart;
mod attach;
mod fuse;
mod id_map;
mod idmap;
mod loop_device;
mod options;
mod overlay;
mod piecewise;
mod point;
mod sys;
mod unmount;
pub(crate) mod userns;

use std::path::{Path, PathBuf};

use containerd_shim_protos::types::mount::Mount;
pub(crate) use id_map::IdMap;

use crate::error::{Error, Result};

/// Where containerd wants the mounts, whatever `config.json` calls the root file system.
const ROOTFS: &str = "rootfs";

/// A mounted root file system; it is unmounted when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Rootfs(Vec<PathBuf>);

impl Rootfs {
    /// Mounts `mounts`, in order, in `bundle`. An empty list leaves everything as it is.
    pub(crate) fn mount(mounts: &[Mount], bundle: &Path) -> Result<Self> {
        let mut rootfs = Self::default();
        if mounts.is_empty() {
            return Ok(rootfs);
        }
        let root = bundle.join(ROOTFS);
        std::fs::create_dir_all(&root).map_err(Error::io("create", &root))?;
        for entry in mounts {
            rootfs.0.extend(attach::attach(entry, &root)?);
        }
        Ok(rootfs)
    }

    /// Leaves it mounted, for [`unmount_all`].
    pub(crate) fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Rootfs {
    fn drop(&mut self) {
        self.0.iter().rev().for_each(|point| unmount::detach(point));
    }
}

/// Detaches all that is mounted at the root file system of a bundle and below it.
pub(crate) fn unmount_all(bundle: &Path) {
    unmount::tree(&bundle.join(ROOTFS));
}
