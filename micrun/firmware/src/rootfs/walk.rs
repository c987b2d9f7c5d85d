//! Opening a file of a rootfs without ever leaving the rootfs.
//!
//! The path is walked one name at a time from an open directory, and symbolic links are followed here
//! instead of by the kernel. `openat2(RESOLVE_IN_ROOT)` would contain as well, but it turns a link that
//! climbs out of the root into another file inside it, where the user should be told.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use crate::text::{printable, quoted};
use crate::{Error, Result};

/// As many as the kernel follows.
const MAX_LINKS: usize = 40;

/// Each level costs an open file for the time of the walk.
const MAX_DEPTH: usize = 64;

/// A regular file of a rootfs, open for reading. What is read from `file` is the file that was checked,
/// whatever happens to the path afterwards.
#[derive(Debug)]
pub struct RootFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its path inside the image, links resolved, with a leading `/`.
    pub path: PathBuf,
    /// The same file as seen from the host.
    pub host_path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
}

/// Opens the regular file `path` of `rootfs`, of at most `limit` bytes. `asked_by` says in errors where the
/// path comes from.
///
/// A leading `/` is optional, `..` in `path` is refused. Symbolic links are followed as they are inside
/// the container, absolute ones from the rootfs; one that climbs above the rootfs is an [`Error::Escape`].
pub fn open(rootfs: &Path, path: &str, limit: u64, asked_by: &str) -> Result<RootFile> {
    if path.split('/').any(|name| name == "..") {
        return Err(Error::Escape { path: printable(path), reason: "it contains \"..\"".into() });
    }
    let walk = Walk { rootfs, path, limit, asked_by, directories: Vec::new(), links: 0, last_link: None };
    walk.run()
}

struct Walk<'a> {
    rootfs: &'a Path,
    path: &'a str,
    limit: u64,
    asked_by: &'a str,
    /// The directories below the rootfs that lead to the current one.
    directories: Vec<(OsString, OwnedFd)>,
    links: usize,
    /// The target of the last symbolic link, for the message.
    last_link: Option<OsString>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<RootFile> {
        // A pipe in its place would block the opening.
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = fcntl::open(self.rootfs, flags, Mode::empty())
            .map_err(|errno| Error::io("open the rootfs", self.rootfs.display().to_string(), errno.into()))?;
        let mut names = VecDeque::from(names(OsStr::new(self.path)));
        while let Some(name) = names.pop_front() {
            if name == ".." {
                if self.directories.pop().is_none() {
                    return Err(self.escape());
                }
                continue;
            }
            let entry = self.openat(root.as_fd(), &name, OFlag::O_PATH)?;
            let stat = fstat(&entry).map_err(|errno| self.io("examine", errno))?;
            match kind(&stat) {
                SFlag::S_IFLNK => {
                    let target = readlinkat(&entry, "").map_err(|errno| self.io("read the link", errno))?;
                    self.follow(target, &mut names)?;
                }
                SFlag::S_IFDIR => self.enter(name, entry)?,
                SFlag::S_IFREG if names.is_empty() => return self.finish(root.as_fd(), name, &stat),
                SFlag::S_IFREG => return Err(self.unusable("a file is where a directory should be")),
                _ => return Err(self.unusable("it is a device, a pipe or a socket; give a regular file")),
            }
        }
        Err(self.unusable("it is a directory; give a regular file"))
    }

    fn current<'f>(&'f self, root: BorrowedFd<'f>) -> BorrowedFd<'f> {
        self.directories.last().map_or(root, |(_, directory)| directory.as_fd())
    }

    fn openat(&self, root: BorrowedFd<'_>, name: &OsStr, flags: OFlag) -> Result<OwnedFd> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(self.current(root), name, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::ENOENT => self.not_found(),
            errno => self.io("open", errno),
        })
    }

    fn enter(&mut self, name: OsString, directory: OwnedFd) -> Result<()> {
        if self.directories.len() == MAX_DEPTH {
            return Err(self.unusable("it is more than 64 directories deep"));
        }
        self.directories.push((name, directory));
        Ok(())
    }

    fn follow(&mut self, target: OsString, rest: &mut VecDeque<OsString>) -> Result<()> {
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(self.unusable("it leads through more than 40 symbolic links"));
        }
        if target.as_bytes().starts_with(b"/") {
            self.directories.clear();
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
        self.last_link = Some(target);
        Ok(())
    }

    /// Opens for reading what has just been seen to be a regular file: a device would be disturbed by the
    /// mere opening, and a pipe would block it.
    fn finish(self, root: BorrowedFd<'_>, name: OsString, seen: &FileStat) -> Result<RootFile> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = self.openat(root, &name, flags)?;
        let stat = fstat(&file).map_err(|errno| self.io("examine", errno))?;
        if (stat.st_dev, stat.st_ino) != (seen.st_dev, seen.st_ino) {
            return Err(Error::Changed { path: printable(self.path) });
        }
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > self.limit {
            return Err(self.unusable(&format!("it has {size} bytes, more than the {} allowed", self.limit)));
        }
        let inside: PathBuf = self.directories.into_iter().map(|(name, _)| name).chain([name]).collect();
        Ok(RootFile {
            file: File::from(file),
            host_path: self.rootfs.join(&inside),
            path: Path::new("/").join(inside),
            size,
        })
    }

    fn not_found(&self) -> Error {
        let looked_for = match &self.last_link {
            Some(target) => {
                let target = quoted(&target.to_string_lossy());
                format!("{}; the symbolic link to {target} leads to nothing inside the image", self.asked_by)
            }
            None => self.asked_by.into(),
        };
        Error::NotFound { path: printable(self.path), looked_for }
    }

    fn escape(&self) -> Error {
        Error::Escape { path: printable(self.path), reason: "a symbolic link leads out of the rootfs".into() }
    }

    fn unusable(&self, reason: &str) -> Error {
        Error::Unusable { path: printable(self.path), reason: reason.into() }
    }

    fn io(&self, action: &'static str, errno: Errno) -> Error {
        Error::io(action, printable(self.path), io::Error::from(errno))
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

/// The names of a path, without those that stay in place.
fn names(path: &OsStr) -> Vec<OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/');
    parts.filter(|name| !matches!(*name, b"" | b".")).map(|name| OsStr::from_bytes(name).into()).collect()
}
