//! A mount point: the root file system's directory, or a path below it that a mount names.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::Mode;

use crate::error::{Error, Result};

/// An open mount point. Symbolic links of an image cannot lead it out of the root file system, not even when they
/// change between the check and the mount: there is a descriptor of what was found.
#[derive(Debug)]
pub(super) struct Point(OwnedFd);

impl Point {
    /// Opens `below` as the file system mounted at `root` resolves it; an empty one is `root` itself. What is open is
    /// the topmost mount there.
    pub(super) fn open(root: &Path, below: &str) -> Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let directory = open(root, flags | OFlag::O_DIRECTORY, Mode::empty())
            .map_err(|errno| Error::io("open", root)(errno.into()))?;
        if below.is_empty() {
            return Ok(Self(directory));
        }
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let found = openat2(&directory, below, how);
        found.map(Self).map_err(|errno| Error::io("open the mount point", root.join(below))(errno.into()))
    }

    /// A path that leads mount(2) to what is open.
    pub(super) fn link(&self) -> PathBuf {
        link(self.0.as_fd())
    }

    /// Where it is in the file system.
    pub(super) fn path(&self) -> Result<PathBuf> {
        let link = self.link();
        std::fs::read_link(&link).map_err(Error::io("read", link))
    }
}

impl AsFd for Point {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A short path to a descriptor, whatever the length of its own path.
pub(super) fn link(fd: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}", fd.as_raw_fd()).into()
}

/// Opens a path for its name alone: it can be neither read nor written.
pub(super) fn name(path: &Path) -> Result<File> {
    let fd = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
    fd.map(File::from).map_err(|errno| Error::io("open", path)(errno.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        for (link, target) in [("absolute", "/etc"), ("up", "../../../../etc"), ("twice", "up")] {
            std::os::unix::fs::symlink(target, root.join(link)).unwrap();
        }
        for below in ["etc", "/etc", "absolute", "up", "twice", "../etc", "etc/../../etc"] {
            assert_eq!(Point::open(&root, below).unwrap().path().unwrap(), root.join("etc"), "{below}");
        }
        assert_eq!(Point::open(&root, "").unwrap().path().unwrap(), root);
        assert_eq!(Point::open(&root, "..").unwrap().path().unwrap(), root);
        let message = Point::open(&root, "nowhere").unwrap_err().to_string();
        assert!(message.ends_with("root/nowhere`"), "{message}");
    }
}
