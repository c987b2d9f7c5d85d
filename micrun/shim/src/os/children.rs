//! The processes that the shim waits for. It is a subreaper (prctl(2)): what a container runtime starts and leaves
//! behind becomes the shim's child.
//!
//! Each process has one owner, who waits for it by a descriptor (`pidfd_open(2)`). Until then it stays a zombie, so an
//! end can be neither missed nor mixed up, however early it comes (threads containerd#3177, #9719, #10651). What has
//! no owner (a daemon without a PID namespace of its own) is reaped by [`sweep`], while no runtime is at work whose
//! process is about to get one.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard};

use nix::errno::Errno;
use nix::libc;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{SignalKind, signal};

use super::lock::lock;
use super::watch;
use crate::error::{Error, Result};

static TABLE: Mutex<Table> = Mutex::new(Table { owned: BTreeSet::new(), holds: 0 });

struct Table {
    owned: BTreeSet<u32>,
    holds: usize,
}

fn table() -> MutexGuard<'static, Table> {
    lock(&TABLE)
}

/// Makes the shim the parent of orphans, and reaps those that are nobody's from now on.
pub(crate) fn adopt_orphans() -> Result<()> {
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| Error::io("become", "a subreaper")(e.into()))?;
    let mut ends = signal(SignalKind::child()).map_err(Error::io("handle", "SIGCHLD"))?;
    tokio::spawn(async move {
        while ends.recv().await.is_some() {
            sweep();
        }
    });
    Ok(())
}

/// Reaps what has ended and has no owner.
fn sweep() {
    let peek = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    loop {
        let table = table();
        if table.holds > 0 {
            return;
        }
        let found = match waitid(Id::All, peek) {
            Err(Errno::EINTR) => continue,
            // The owner of the first in the line sweeps again when it is gone.
            found => found.ok().and_then(|status| status.pid()),
        };
        let Some(pid) = found else { return };
        if table.owned.contains(&pid.as_raw().unsigned_abs()) {
            return;
        }
        log::debug!("reaping orphan {pid}");
        // Its status is nobody's.
        let _ = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG);
    }
}

/// While it is there, nothing is taken for an orphan.
#[derive(Debug)]
pub(crate) struct Hold(());

/// Announces processes that have no owner yet.
pub(crate) fn hold() -> Hold {
    table().holds += 1;
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        table().holds -= 1;
        sweep();
    }
}

/// Says that somebody waits for a process.
#[derive(Debug)]
pub(crate) struct Owned(u32);

/// Takes a process out of [`sweep`]'s reach.
pub(crate) fn own(pid: u32) -> Owned {
    table().owned.insert(pid);
    Owned(pid)
}

impl Drop for Owned {
    fn drop(&mut self) {
        table().owned.remove(&self.0);
        sweep();
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It called exit with this status.
    Code(u32),
    /// This signal ended it.
    Signal(u32),
}

/// A child that another child has left to the shim.
#[derive(Debug)]
pub(crate) struct Child {
    /// Its process id.
    pub pid: u32,
    fd: AsyncFd<File>,
    _owned: Owned,
}

impl Child {
    /// Takes over a process; a [`Hold`] must have been there since before it began.
    pub(crate) fn adopt(pid: u32) -> io::Result<Self> {
        let owned = own(pid);
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        let fd = rustix::process::pidfd_open(raw, PidfdFlags::NONBLOCK)?;
        Ok(Self { pid, fd: watch::register(File::from(fd))?, _owned: owned })
    }

    /// Waits for the end. To be called once.
    pub(crate) async fn wait(&self) -> io::Result<Ended> {
        loop {
            let mut ready = self.fd.readable().await?;
            let fd = self.fd.get_ref().as_fd();
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
            match rustix::process::waitid(WaitId::PidFd(fd), options) {
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (None, Some(signal)) => Ended::Signal(signal.unsigned_abs()),
                        (code, _) => Ended::Code(code.unwrap_or_default().unsigned_abs()),
                    });
                }
                Ok(None) | Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends a signal, any that the kernel knows; false when the process has ended.
    pub(crate) fn signal(&self, number: u32) -> io::Result<bool> {
        match send_signal(self.fd.get_ref().as_fd(), number) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[expect(
    unsafe_code,
    reason = "rustix has no name for real-time signals, nor for signal 0, and nix lacks the call"
)]
fn send_signal(process: BorrowedFd<'_>, number: u32) -> nix::Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: without a siginfo, the call reads and writes no memory of ours.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), number, nothing, 0) };
    Errno::result(sent).map(drop)
}
