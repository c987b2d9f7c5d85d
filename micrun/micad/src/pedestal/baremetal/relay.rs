//! The process that relays a terminal's bytes, from the daemon's side ([`super::relay_process`] is the other).

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::PidfdFlags;
use tokio::io::unix::AsyncFd;

use super::relay_process::{KEEP, TAKE};
use crate::Result;
use crate::error::system;
use crate::jail::{self, Cell, Confinement, Limits, Tenant};
use crate::pedestal::console::Console;
use crate::pedestal::process::{Process, ProcessId};
use crate::sys;

/// This program, even if its file has been replaced since.
const SELF: &str = "/proc/self/exe";

/// A process between rpmsg terminals, one after the other, and a pty.
#[derive(Debug)]
pub(super) struct Relay {
    process: Process,
    /// Takes terminals, and gives a byte when all of one is relayed; at its end when the process is dead.
    socket: AsyncFd<OwnedFd>,
    /// The process's own number for that, by which a later daemon finds it.
    number: RawFd,
}

impl Relay {
    /// Starts this program as a relay in a jail, with nothing but the pty. Until [`Self::keep`] it dies with the daemon.
    /// Blocks.
    pub(super) fn spawn(console: &Console, tenant: Option<&Tenant>) -> Result<Self> {
        let doing = "connect to the console's relay";
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let (ours, its) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).map_err(system(doing))?;
        let number = ours.as_raw_fd();
        let socket = watch(ours)?;
        let daemon = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
        let daemon = daemon.map_err(system(doing))?;
        let root = tenant.map(|tenant| tenant.roots.own()).transpose()?;
        let cell = tenant.zip(root.as_deref());
        let cell = cell.map(|(tenant, root)| Cell { uid: tenant.uid, root, files: &[] });
        let program = Path::new(if cell.is_some() { jail::ITSELF } else { SELF });
        let mut command = Command::new(program);
        command.arg("--relay").env_clear().current_dir("/");
        command.stdin(its).stdout(console.share_master()?).stderr(daemon);
        let limits = Limits::of_relay(cell.is_some());
        // It holds for a later daemon what this one has.
        let keep = std::iter::once(socket.get_ref().as_fd()).chain(console.ends()).collect();
        // It puts itself under its filter when it has started.
        let confinement = Confinement { cell, keep, cgroups: &[], oom_score: None, limits, filter: None };
        let child = jail::spawn(program, command, &confinement)?;
        let process = Process::of_child(child)?;
        process.keep(number, socket.get_ref());
        console.keep_with(&process);
        Ok(Self { process, socket, number })
    }

    /// Connects to the process of an earlier daemon; `None` if it has ended.
    pub(super) fn adopt(id: ProcessId, number: RawFd) -> Option<Self> {
        let process = Process::adopt(id)?;
        match process.fd(number).and_then(watch) {
            Ok(socket) => Some(Self { process, socket, number }),
            Err(e) => {
                log::warn!("{}", e.sentence());
                // One that cannot be controlled must not keep a terminal.
                process.kill();
                None
            }
        }
    }

    /// The process.
    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Its number for the daemon's end of the connection.
    pub(super) fn number(&self) -> RawFd {
        self.number
    }

    /// Lets it live longer than the daemon, which has written it down.
    pub(super) fn keep(&self) -> Result<()> {
        rustix::net::send(&self.socket, &[KEEP], SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(system("keep the console's relay"))
    }

    /// Gives it a terminal to relay.
    pub(super) fn take(&self, tty: &File) -> Result<()> {
        let doing = "hand the console over to its relay";
        // Of the terminal before.
        let _ = rustix::net::recv(&self.socket, &mut [0_u8; 1], RecvFlags::DONTWAIT);
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = [tty.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&fds));
        rustix::net::sendmsg(&self.socket, &[IoSlice::new(&[TAKE])], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(system(doing))
    }

    /// Whether everything from the terminal that it had is relayed.
    pub(super) fn is_done(&self) -> bool {
        !self.ready(PollFlags::POLLIN).is_empty()
    }

    /// Whether it is no more.
    pub(super) fn is_dead(&self) -> bool {
        self.ready(PollFlags::empty()).contains(PollFlags::POLLHUP)
    }

    fn ready(&self, wanted: PollFlags) -> PollFlags {
        let mut ready = [PollFd::new(self.socket.get_ref().as_fd(), wanted)];
        // A failed poll says nothing.
        let _ = poll(&mut ready, PollTimeout::ZERO);
        ready[0].revents().unwrap_or(PollFlags::empty())
    }

    /// Waits for [`Self::is_done`], no longer than `bound`; false if it is not.
    pub(super) async fn done_within(&self, bound: Duration) -> bool {
        tokio::time::timeout(bound, self.socket.readable()).await.is_ok()
    }

    /// Ends it for good.
    pub(super) fn end(self) {
        self.process.kill();
        tokio::spawn(async move {
            self.process.ended().await;
            self.process.reap();
        });
    }
}

fn watch(socket: OwnedFd) -> Result<AsyncFd<OwnedFd>> {
    sys::watch(socket).map_err(system("watch the console's relay"))
}
