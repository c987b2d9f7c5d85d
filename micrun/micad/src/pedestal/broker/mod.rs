//! The broker of a console, from the daemon's side; [`process`] is the other one, [`ring`] what it keeps.
//!
//! A broker is a process between a terminal to which firmware writes, one after the other if there are several, and those who
//! read: the pty whose path a status tells, and connections that are attached. It always reads what the firmware writes, so
//! that firmware waits for nobody, and keeps the latest of it.

pub(crate) mod process;
mod pty;
mod reader;
mod ring;
mod rings;
mod terminal;
mod trace;
mod wire;

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use libmica::attach::Attach;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use rustix::process::PidfdFlags;
use tokio::io::unix::AsyncFd;

pub(crate) use rings::{RingFiles, Rings};

use super::ClientSpec;
use super::console::Pty;
use super::process::{Process, ProcessId};
use crate::error::system;
use crate::jail::{self, Cell, Confinement, Limits, Tenant};
use crate::{Result, sys};

/// This program, even if its file has been replaced since.
const SELF: &str = "/proc/self/exe";
/// Most streams of one client: firmware must not fill the host with processes.
pub(super) const MOST_STREAMS: usize = 6;
/// Most descriptors in one message.
const MAX_DESCRIPTORS: usize = 2;

/// A broker.
#[derive(Debug)]
pub(super) struct Broker {
    process: Process,
    line: Arc<Line>,
    /// The process's own number for the daemon's end of the connection, by which a later daemon finds it.
    number: RawFd,
}

/// The connection to a broker. It takes terminals, and gives a byte when all of one is relayed; it is at its end when the
/// process is dead.
#[derive(Debug)]
struct Line(AsyncFd<OwnedFd>);

/// The way to a console for those who attach.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// The stream's name in a status.
    pub(crate) name: String,
    line: Arc<Line>,
}

impl Broker {
    /// Starts this program as a broker in a jail, with nothing but the pty, whose slave is opened for it. Until
    /// [`Self::keep`] it dies with the daemon. Blocks.
    pub(super) fn spawn(pty: &mut Pty, tenant: Option<&Tenant>, rings: &Rings) -> Result<Self> {
        let doing = "connect to the console's broker";
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK);
        let (ours, its) =
            rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None).map_err(system(doing))?;
        let number = ours.as_raw_fd();
        let line = Line::new(ours)?;
        let daemon = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
        let daemon = daemon.map_err(system(doing))?;
        let root = tenant.map(|tenant| tenant.roots.own()).transpose()?;
        let cell = tenant.zip(root.as_deref());
        let cell = cell.map(|(tenant, root)| Cell { uid: tenant.uid, root, files: &[] });
        let program = Path::new(if cell.is_some() { jail::ITSELF } else { SELF });
        let slave = pty.give_slave()?;
        let mut command = Command::new(program);
        command.arg("--relay").env_clear().current_dir("/");
        command.stdin(its).stdout(pty.share_master()?).stderr(daemon);
        let limits = Limits::of_broker(cell.is_some(), ring::file_size(rings.bytes));
        // It holds for a later daemon what this one has.
        let keep = [line.0.get_ref().as_fd(), slave.as_fd()].into_iter().chain(pty.ends()).collect();
        // It puts itself under its filter when it has started.
        let confinement = Confinement { cell, keep, cgroups: &[], oom_score: None, limits, filter: None };
        let process = Process::of_child(jail::spawn(program, command, &confinement)?)?;
        process.keep(number, line.0.get_ref());
        pty.keep_with(&process);
        Ok(Self { process, line: Arc::new(line), number })
    }

    /// Connects to the process of an earlier daemon; `None` if it has ended.
    pub(super) fn adopt(id: ProcessId, number: RawFd) -> Option<Self> {
        let process = Process::adopt(id)?;
        match process.fd(number).and_then(Line::new) {
            Ok(line) => Some(Self { process, line: Arc::new(line), number }),
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

    /// The way to it for those who attach, under this name.
    pub(super) fn door(&self, name: &str) -> Door {
        Door { name: name.to_owned(), line: Arc::clone(&self.line) }
    }

    /// Lets it live longer than the daemon, which has written it down.
    pub(super) fn keep(&self) -> Result<()> {
        self.line.send(&[wire::KEEP], &[])
    }

    /// Gives it the files for what it keeps. Without them it keeps little, and firmware runs all the same.
    pub(super) fn remember(&self, spec: &ClientSpec, files: Result<RingFiles>) {
        let given = files.and_then(|RingFiles { current, previous }| {
            let fds: Vec<_> = std::iter::once(&current).chain(&previous).map(AsFd::as_fd).collect();
            self.line.send(&[wire::RING], &fds)
        });
        if let Err(e) = given {
            log::warn!(
                client = spec.name();
                "{}: only the latest 32 KiB of a console are kept: {}", spec.name(), e.sentence()
            );
        }
    }

    /// Gives it an rpmsg terminal to relay.
    pub(super) fn take_rpmsg(&self, tty: BorrowedFd<'_>) -> Result<()> {
        // Of the terminal before.
        let _ = rustix::net::recv(&self.line.0, &mut [0_u8; 1], RecvFlags::DONTWAIT);
        self.line.send(&[wire::TAKE_RPMSG], &[tty])
    }

    /// Gives it both ends of a pty to relay.
    pub(super) fn take_pty(&self, slave: BorrowedFd<'_>, master: BorrowedFd<'_>) -> Result<()> {
        self.line.send(&[wire::TAKE_PTY], &[slave, master])
    }

    /// Gives it the file of a trace buffer to look at, or another one that goes on with the same.
    pub(super) fn take_trace(&self, file: BorrowedFd<'_>) -> Result<()> {
        self.line.send(&[wire::TAKE_TRACE], &[file])
    }

    /// Tells it that nothing is written to the terminal any more.
    pub(super) fn run_is_over(&self) {
        // One that is dead has nobody to tell.
        let _ = self.line.send(&[wire::OVER], &[]);
    }

    /// Tells it the same of an rpmsg terminal that does not go with its firmware.
    pub(super) fn run_is_over_but_terminal_stays(&self) {
        let _ = self.line.send(&[wire::LEFT], &[]);
    }

    /// Whether everything from the terminal that it had is relayed.
    pub(super) fn is_done(&self) -> bool {
        !self.line.ready(PollFlags::POLLIN).is_empty()
    }

    /// Whether it is no more.
    pub(super) fn is_dead(&self) -> bool {
        self.line.ready(PollFlags::empty()).contains(PollFlags::POLLHUP)
    }

    /// Waits for [`Self::is_done`], no longer than `bound`; false if it is not.
    pub(super) async fn done_within(&self, bound: Duration) -> bool {
        self.is_done() || tokio::time::timeout(bound, self.line.0.readable()).await.is_ok()
    }

    /// Waits until it is no more. May be cancelled.
    pub(super) async fn died(&self) {
        loop {
            let ready = self.line.0.readable().await;
            // Its word that it has done something is another one's to read.
            if let Ok(mut ready) = ready {
                ready.clear_ready();
            }
            if self.is_dead() {
                return;
            }
        }
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

impl Line {
    fn new(socket: OwnedFd) -> Result<Self> {
        sys::watch(socket).map(Self).map_err(system("watch the console's broker"))
    }

    fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        rustix::net::sendmsg(&self.0, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(system("tell the console's broker what to do"))
    }

    fn ready(&self, wanted: PollFlags) -> PollFlags {
        let mut ready = [PollFd::new(self.0.get_ref().as_fd(), wanted)];
        // A failed poll says nothing.
        let _ = poll(&mut ready, PollTimeout::ZERO);
        ready[0].revents().unwrap_or(PollFlags::empty())
    }
}

impl Door {
    /// Has the broker serve the connection, as it was asked for. It answers there.
    pub(crate) fn attach(&self, connection: BorrowedFd<'_>, attach: &Attach) -> Result<()> {
        let message = [&[wire::ATTACH][..], attach.to_string().as_bytes()].concat();
        self.line.send(&message, &[connection])
    }
}
