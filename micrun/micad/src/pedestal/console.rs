//! The firmware's console: a pty whose master belongs to the process that runs the firmware, or relays its
//! bytes.
//!
//! That process writes to the master by itself, so the console does not depend on the daemon's life. It holds both ends:
//! without an open slave the master hangs up. The daemon holds the master as well: closing the last one discards what
//! nobody has read yet. What waits at the slave stays, and so do its modes, while nobody has it open.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::pty::OpenptFlags;

use crate::error::{file, system};
use crate::pedestal::process::Process;
use crate::{Error, Result};

/// Both ends of a pty.
#[derive(Debug)]
pub(super) struct Pty {
    master: OwnedFd,
    /// Until the process has it.
    slave: Option<OwnedFd>,
    /// The process's numbers for master and slave.
    numbers: (RawFd, RawFd),
    pts: PathBuf,
}

/// A pty, and the link that leads to it.
#[derive(Debug)]
pub(super) struct Console {
    pty: Pty,
    link: PathBuf,
}

impl Pty {
    /// A new pty in raw mode, so that every byte passes both ways as it is.
    pub(super) fn open() -> Result<Self> {
        let doing = "open a pty for the console";
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = rustix::pty::openpt(flags).map_err(system(doing))?;
        rustix::pty::grantpt(&master).map_err(system(doing))?;
        rustix::pty::unlockpt(&master).map_err(system(doing))?;
        let slave = open_slave(&master)?;
        make_raw(&slave).map_err(system(doing))?;
        let numbers = (master.as_raw_fd(), slave.as_raw_fd());
        Self::new(master, Some(slave), numbers)
    }

    fn new(master: OwnedFd, slave: Option<OwnedFd>, numbers: (RawFd, RawFd)) -> Result<Self> {
        let name = rustix::pty::ptsname(&master, Vec::new()).map_err(system("name the console"))?;
        let pts = PathBuf::from(OsStr::from_bytes(name.as_bytes()));
        Ok(Self { master, slave, numbers, pts })
    }

    /// What the process inherits: the master, and the slave while it is here.
    pub(super) fn ends(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(&self.master).chain(&self.slave).map(AsFd::as_fd)
    }

    /// Has the next daemon find the ends that are here, and which the process has as well. Blocks.
    pub(super) fn keep_with(&self, process: &Process) {
        process.keep(self.numbers.0, &self.master);
        if let Some(slave) = &self.slave {
            process.keep(self.numbers.1, slave);
        }
    }

    /// Both ends: master and slave. An error once the slave was given up.
    pub(super) fn both(&self) -> Result<(BorrowedFd<'_>, BorrowedFd<'_>)> {
        let slave = self.slave.as_ref().ok_or(std::io::ErrorKind::NotFound);
        let slave = slave.map_err(|kind| system("share the console")(std::io::Error::from(kind)))?;
        Ok((self.master.as_fd(), slave.as_fd()))
    }

    /// The process's numbers for master and slave.
    pub(super) fn numbers(&self) -> (RawFd, RawFd) {
        self.numbers
    }

    /// Gives up the slave, for a process that is to have both ends under the numbers that they have here.
    pub(super) fn give_slave(&mut self) -> Result<OwnedFd> {
        let slave = match self.slave.take() {
            Some(slave) => slave,
            None => open_slave(&self.master)?,
        };
        self.numbers = (self.master.as_raw_fd(), slave.as_raw_fd());
        Ok(slave)
    }

    /// Another descriptor of the master.
    pub(super) fn share_master(&self) -> Result<OwnedFd> {
        self.master.try_clone().map_err(system("share the console"))
    }

    /// The console that this is, reachable as `link`.
    pub(super) fn linked(self, link: &Path) -> Result<Console> {
        match std::fs::remove_file(link) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(file("replace", link)(e)),
            _ => std::os::unix::fs::symlink(&self.pts, link).map_err(file("create", link))?,
        }
        Ok(Console { pty: self, link: link.to_owned() })
    }
}

impl Console {
    /// The console of a running process, whose numbers for the two ends are known.
    pub(super) fn adopt(process: &Process, master: RawFd, slave: RawFd, link: &Path) -> Result<Self> {
        Pty::new(process.fd(master)?, None, (master, slave))?.linked(link)
    }

    /// The link that leads to it.
    pub(super) fn link(&self) -> &Path {
        &self.link
    }

    /// Its numbers for master and slave.
    pub(super) fn numbers(&self) -> (RawFd, RawFd) {
        self.pty.numbers
    }

    /// The same pty once more.
    pub(super) fn share(&self) -> Result<Pty> {
        let Pty { numbers, pts, .. } = &self.pty;
        Ok(Pty { master: self.pty.share_master()?, slave: None, numbers: *numbers, pts: pts.clone() })
    }

    /// Is that one from now on, which it has shared.
    pub(super) fn replace(&mut self, pty: Pty) {
        self.pty = pty;
    }

    /// Closes both ends and removes the link, unless it leads to another console by now.
    pub(super) fn close(self) {
        let ours = std::fs::read_link(&self.link).is_ok_and(|target| target == self.pty.pts);
        if ours && let Err(e) = std::fs::remove_file(&self.link) {
            let error = Error::File { doing: "remove", path: self.link.clone(), source: e };
            log::warn!("{}", error.sentence());
        }
    }
}

fn open_slave(master: &OwnedFd) -> Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    rustix::pty::ioctl_tiocgptpeer(master, flags).map_err(system("open a pty for the console"))
}

/// Has every byte pass through the terminal as it is, both ways.
pub(super) fn make_raw(tty: &impl AsFd) -> nix::Result<()> {
    let mut modes = tcgetattr(tty)?;
    cfmakeraw(&mut modes);
    tcsetattr(tty, SetArg::TCSANOW, &modes)
}
