//! The process that carries a terminal's bytes, from the daemon's side ([`super::carry`] is the other).

use std::fs::File;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use tokio::io::unix::AsyncFd;

use super::carry::{KEEP, TAKE};
use crate::error::{file, system};
use crate::pedestal::console::Console;
use crate::pedestal::process::{Process, ProcessId};
use crate::{Result, sys};

/// This program, even if its file has been replaced since.
const SELF: &str = "/proc/self/exe";

/// A process between rpmsg terminals, one after the other, and a pty.
#[derive(Debug)]
pub(super) struct Carrier {
    process: Process,
    /// Takes terminals, and gives a byte when all of one is carried; at its end when the process is dead.
    socket: AsyncFd<OwnedFd>,
    /// The process's own number for that, by which a later daemon finds it.
    number: RawFd,
}

impl Carrier {
    /// Starts this program as a carrier: without rights, with nothing but the pty. Until [`Self::keep`] it dies
    /// with the daemon.
    pub(super) fn spawn(console: &Console, uid: Option<u32>) -> Result<Self> {
        let doing = "connect to the console's process";
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let (ours, its) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).map_err(system(doing))?;
        let (master, slave) = console.numbers();
        let (number, its_number) = (ours.as_raw_fd(), its.as_raw_fd());
        let parent = std::process::id();
        let mut command = Command::new(SELF);
        command.arg(format!("--carry={its_number},{master},{parent}")).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let keep = vec![its_number, number, master, slave];
        let mut child =
            sys::spawn_confined(&mut command, uid, keep, Vec::new()).map_err(file("run", SELF))?;
        // From here on the process is watched and reaped by its pidfd; dropping `child` does neither.
        match Process::open(&child).and_then(|process| Ok((process, watch(ours)?))) {
            Ok((process, socket)) => Ok(Self { process, socket, number }),
            Err(e) => {
                // Not without watching it. The failures possible are those of a process that is gone.
                let _ = child.kill().and_then(|()| child.wait().map(drop));
                Err(e)
            }
        }
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
            .map_err(system("keep the console's process"))
    }

    /// Gives it a terminal to carry.
    pub(super) fn take(&self, tty: &File) -> Result<()> {
        let doing = "hand the console over to its process";
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

    /// Whether all of the terminal that it had is carried.
    pub(super) fn is_done(&self) -> bool {
        !self.ready(PollFlags::IN).is_empty()
    }

    /// Whether it is no more.
    pub(super) fn is_dead(&self) -> bool {
        self.ready(PollFlags::empty()).contains(PollFlags::HUP)
    }

    fn ready(&self, wanted: PollFlags) -> PollFlags {
        let mut ready = [PollFd::new(self.socket.get_ref(), wanted)];
        // A failed poll says nothing.
        let _ = rustix::event::poll(&mut ready, Some(&Timespec::default()));
        ready[0].revents()
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
    sys::watch(socket).map_err(system("watch the console's process"))
}
