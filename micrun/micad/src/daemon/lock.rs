//! One daemon per runtime directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

use crate::error::file;
use crate::{Error, Result};

/// The right to serve a runtime directory, and the pid file that says who does.
#[derive(Debug)]
pub(super) struct Lock {
    /// Locked as long as it is open.
    _lock: File,
    pid_file: PathBuf,
}

impl Lock {
    /// Takes `dir` and writes the pid file; fails if another daemon has either.
    pub(super) fn take(dir: &Path, pid_file: &Path) -> Result<Self> {
        let lock = lock_file(&dir.join("micad.lock"), dir)?;
        let mut options = OpenOptions::new();
        // As upstream's pid file: readable by the group.
        let opened = options.create(true).write(true).truncate(true).mode(0o640).open(pid_file);
        let mut pid = opened.map_err(file("create", pid_file))?;
        writeln!(pid, "{}", std::process::id()).map_err(file("write", pid_file))?;
        Ok(Self { _lock: lock, pid_file: pid_file.to_owned() })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_file(&self.pid_file) {
            log::warn!("{}", file("remove", &self.pid_file)(e).sentence());
        }
    }
}

/// A lock of the process, not of the open file as by flock(2): a process that the daemon has just forked, and that outlives
/// it, must not keep the next daemon out.
#[expect(clippy::cast_possible_truncation, reason = "the constants are smaller than 10")]
fn lock_file(path: &Path, dir: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).write(true).truncate(false).mode(0o600).open(path);
    let file_to_lock = opened.map_err(file("create", path))?;
    let whole = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    };
    match fcntl(&file_to_lock, FcntlArg::F_SETLK(&whole)) {
        Ok(_) => Ok(file_to_lock),
        Err(Errno::EACCES | Errno::EAGAIN) => Err(Error::AlreadyServed { dir: dir.to_owned() }),
        Err(other) => Err(file("lock", path)(other.into())),
    }
}
