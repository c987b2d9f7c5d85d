//! The firmware's console: a pty whose master belongs to the process that runs the firmware, or relays its
//! bytes.
//!
//! That process writes to the master by itself, so the console does not depend on the daemon's life. The daemon
//! holds both ends as well: closing the last master discards what nobody has read yet, and without an open
//! slave the master hangs up.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::pty::OpenptFlags;

use crate::error::{file, system};
use crate::pedestal::process::Process;
use crate::{Error, Result};

/// Both ends of a pty, and the link that leads to it.
#[derive(Debug)]
pub(super) struct Console {
    master: OwnedFd,
    slave: OwnedFd,
    pts: PathBuf,
    link: PathBuf,
}

impl Console {
    /// A new pty in raw mode, so that every byte passes both ways as it is, reachable as `link`.
    pub(super) fn open(link: &Path) -> Result<Self> {
        let doing = "open a pty for the console";
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).map_err(system(doing))?;
        rustix::pty::grantpt(&master).map_err(system(doing))?;
        rustix::pty::unlockpt(&master).map_err(system(doing))?;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags).map_err(system(doing))?;
        make_raw(&slave).map_err(system(doing))?;
        let console = Self::new(master, slave, link)?;
        console.make_link()?;
        Ok(console)
    }

    /// The console of a running process, whose numbers for the two ends are known.
    pub(super) fn adopt(process: &Process, master: RawFd, slave: RawFd, link: &Path) -> Result<Self> {
        let console = Self::new(process.fd(master)?, process.fd(slave)?, link)?;
        console.make_link()?;
        Ok(console)
    }

    fn new(master: OwnedFd, slave: OwnedFd, link: &Path) -> Result<Self> {
        let name = rustix::pty::ptsname(&master, Vec::new()).map_err(system("name the console"))?;
        let pts = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        Ok(Self { master, slave, pts, link: link.to_owned() })
    }

    fn make_link(&self) -> Result<()> {
        match std::fs::remove_file(&self.link) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(file("replace", &self.link)(e)),
            _ => std::os::unix::fs::symlink(&self.pts, &self.link).map_err(file("create", &self.link)),
        }
    }

    /// The link that leads to it.
    pub(super) fn link(&self) -> &Path {
        &self.link
    }

    /// Master and slave.
    pub(super) fn ends(&self) -> [BorrowedFd<'_>; 2] {
        [self.master.as_fd(), self.slave.as_fd()]
    }

    /// Their numbers, which the process inherits.
    pub(super) fn numbers(&self) -> (RawFd, RawFd) {
        (self.master.as_raw_fd(), self.slave.as_raw_fd())
    }

    /// Another descriptor of the master.
    pub(super) fn share_master(&self) -> Result<OwnedFd> {
        self.master.try_clone().map_err(system("share the console"))
    }

    /// Closes both ends and removes the link, unless it leads to another console by now.
    pub(super) fn close(self) {
        let ours = std::fs::read_link(&self.link).is_ok_and(|target| target == self.pts);
        if ours && let Err(e) = std::fs::remove_file(&self.link) {
            let error = Error::File { doing: "remove", path: self.link.clone(), source: e };
            log::warn!("{}", error.sentence());
        }
    }
}

/// Has every byte pass through the terminal as it is, both ways.
pub(super) fn make_raw(tty: &impl AsFd) -> nix::Result<()> {
    let mut modes = tcgetattr(tty)?;
    cfmakeraw(&mut modes);
    tcsetattr(tty, SetArg::TCSANOW, &modes)
}
