//! A root with nothing in it but the files that one program maps.
//!
//! It is a mount namespace that no process is in: a tmpfs with a read-only bind mount for each file. It is made once for
//! all processes of the program. They can share it, for nobody can write anything there, and they enter it in
//! microseconds.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sched::CloneFlags;
use nix::sys::stat::{Mode, umask};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags};

use super::{files, libraries, on_a_thread};
use crate::error::{file, system};
use crate::{Error, Result};

/// Where this program finds itself in its root.
pub(crate) const ITSELF: &str = "/micad";

/// The root for one program.
#[derive(Debug)]
pub(crate) struct Root {
    namespace: OwnedFd,
    files: Vec<Mapped>,
}

/// A file of the host, as it was when the root was made.
#[derive(Debug)]
struct Mapped {
    /// Where it is.
    path: PathBuf,
    /// Where the program finds it.
    place: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// A mount of what is at `path` that is in no tree yet.
fn detached(path: &Path) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(rustix::mount::open_tree(CWD, path, flags)?)
}

impl Mapped {
    fn new(path: PathBuf, place: PathBuf) -> Result<Self> {
        let identity = Self::identity(&path).map_err(file("find", &path))?;
        Ok(Self { path, place, identity })
    }

    /// Has it appear below `root`, read-only.
    fn show(&self, mount: &OwnedFd, root: &Path) -> io::Result<()> {
        let place = root.join(self.place.strip_prefix("/").unwrap_or(&self.place));
        if let Some(directory) = place.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(directory)?;
        }
        OpenOptions::new().create(true).append(true).mode(0o555).open(&place)?;
        let onto = |mount: &OwnedFd| {
            rustix::mount::move_mount(mount, "", CWD, &place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        };
        match onto(mount) {
            // It has no name any more, as this program after an upgrade: such a file can be read, but not be mounted.
            Err(Errno::NOENT) => {
                std::fs::copy(format!("/proc/thread-self/fd/{}", mount.as_raw_fd()), &place)?;
                onto(&detached(&place)?)?;
            }
            moved => moved?,
        }
        rustix::mount::mount_change(&place, MountPropagationFlags::PRIVATE)?;
        let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
        Ok(rustix::mount::mount_remount(&place, flags, c"")?)
    }

    fn identity(path: &Path) -> io::Result<(u64, u64)> {
        let metadata = path.metadata()?;
        Ok((metadata.dev(), metadata.ino()))
    }
}

impl Root {
    /// Makes the root for `program`, which finds itself at `place`, and the files `data` and its libraries where they are
    /// on the host. The tmpfs is mounted over the directory `over`, where nobody else sees it. Blocks.
    fn build(program: &Path, place: &Path, data: Vec<PathBuf>, over: &Path) -> Result<Self> {
        let others =
            libraries::of(program)?.into_iter().chain(data).map(|path| Mapped::new(path.clone(), path));
        let itself = std::iter::once(Mapped::new(program.to_owned(), place.to_owned()));
        let files = itself.chain(others).collect::<Result<Vec<_>>>()?;
        // What a thread unshares ends with it.
        let made = on_a_thread("root", || make(&files, over)).map_err(system("start a thread"))?;
        let namespace =
            made.map_err(|(path, source)| Error::JailRoot { program: program.to_owned(), path, source })?;
        Ok(Self { namespace, files })
    }

    /// Whether the host's files are still those in the root: an update replaces them.
    fn is_current(&self) -> bool {
        let same = |file: &Mapped| Mapped::identity(&file.path).is_ok_and(|found| found == file.identity);
        self.files.iter().all(same)
    }

    /// Moves the calling process there. Async-signal-safe.
    pub(super) fn enter(&self) -> nix::Result<()> {
        nix::sched::setns(self.namespace.as_fd(), CloneFlags::CLONE_NEWNS)
    }
}

/// The roots of the daemon's programs, each made when it is first needed.
#[derive(Debug)]
pub(crate) struct Roots {
    over: PathBuf,
    made: Mutex<BTreeMap<PathBuf, Arc<Root>>>,
}

impl Roots {
    /// No roots yet. `over` is a directory that exists by the time that one is made.
    pub(crate) fn new(over: PathBuf) -> Self {
        Self { over, made: Mutex::default() }
    }

    /// The root for the emulator `program`. Blocks.
    pub(crate) fn emulator(&self, program: &Path) -> Result<Arc<Root>> {
        self.of(program, program, || files::data(program))
    }

    /// The root for this program, which is at [`ITSELF`] there. Blocks.
    pub(crate) fn own(&self) -> Result<Arc<Root>> {
        // The loader asks for its libraries, so `self` would not do.
        let program = PathBuf::from(format!("/proc/{}/exe", std::process::id()));
        self.of(&program, Path::new(ITSELF), Vec::new)
    }

    fn of(&self, program: &Path, place: &Path, data: impl FnOnce() -> Vec<PathBuf>) -> Result<Arc<Root>> {
        // A panic while it was held leaves the map whole.
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(root) = made.get(program).filter(|root| root.is_current()) {
            return Ok(Arc::clone(root));
        }
        let root = Arc::new(Root::build(program, place, data(), &self.over)?);
        log::debug!("made a root for {} with {} files", program.display(), root.files.len());
        made.insert(program.to_owned(), Arc::clone(&root));
        Ok(root)
    }
}

/// An error with the file that it is about.
type At<T> = Result<T, (PathBuf, io::Error)>;

fn at<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> (PathBuf, io::Error) {
    move |error| (path.to_owned(), error.into())
}

/// Makes the mount namespace on a thread that has nothing else to do.
fn make(files: &[Mapped], over: &Path) -> At<OwnedFd> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let here = Path::new("/");
    // Before the namespace changes: what `/proc/PID/exe` leads to is no part of another one.
    let mounts =
        files.iter().map(|file| detached(&file.path).map_err(at(&file.path))).collect::<At<Vec<_>>>()?;
    nix::sched::unshare(CloneFlags::CLONE_NEWNS).map_err(at(here))?;
    // This thread's alone by now. Users other than the daemon's pass through these directories.
    umask(Mode::from_bits_truncate(0o022));
    rustix::mount::mount_change("/", private).map_err(at(here))?;
    let namespace =
        File::open("/proc/thread-self/ns/mnt").map_err(at(Path::new("/proc/thread-self/ns/mnt")))?;
    rustix::mount::mount("tmpfs", over, "tmpfs", flags, c"mode=755").map_err(at(over))?;
    for (file, mount) in files.iter().zip(&mounts) {
        file.show(mount, over).map_err(at(&file.path))?;
    }
    rustix::process::chdir(over).map_err(at(over))?;
    // The old root lies over the new one, and is taken away from there (pivot_root(2), "pivot_root(".", ".")").
    rustix::process::pivot_root(".", ".").map_err(at(here))?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(at(here))?;
    rustix::process::chdir("/").map_err(at(here))?;
    rustix::mount::mount_remount("/", flags | MountFlags::RDONLY, c"").map_err(at(here))?;
    Ok(namespace.into())
}
