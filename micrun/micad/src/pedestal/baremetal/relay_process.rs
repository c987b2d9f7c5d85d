//! The process between rpmsg terminals and a pty: `micad --relay`, with the daemon's socket as its standard input, the
//! pty's master as its standard output, and a pidfd of the daemon as its standard error.
//!
//! It takes one terminal after the other from the daemon's socket. When a terminal is gone and all that came
//! from it is in the pty, it says so by a byte on the socket. It stays until a signal ends it: if there is no daemon,
//! nobody else holds the pty. What the pty's reader does not take is kept here, up to [`BACKLOG`]; beyond that
//! in the kernel, whose terminal drops what its own buffers (640 KiB) do not hold.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{read, write};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use crate::jail::Filter;

/// The daemon has written the process down: it need not die with it any more.
pub(super) const KEEP: u8 = b'k';
/// A terminal comes with this.
pub(super) const TAKE: u8 = b't';
/// All of a terminal is relayed.
const DONE: u8 = b'd';

/// Most bytes that wait for the pty's reader.
const BACKLOG: usize = 1 << 20;
/// Bytes in one read; a pty gives no more at a time.
const CHUNK: usize = 4096;
/// Pause after the firmware's buffers were found full: the kernel does not tell when one is free.
const RETRY_MS: u8 = 1;

/// Relays what the daemon gives. Returns when the daemon has ended before it had written this process down, at SIGTERM, or
/// to report an error.
pub(crate) fn run() -> io::Result<()> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    let pty = io::stdout().as_fd().try_clone_to_owned()?;
    let daemon = io::stderr().as_fd().try_clone_to_owned()?;
    // Whoever starts this by hand has neither.
    rustix::net::sockopt::socket_type(&socket)?;
    nix::sys::termios::tcgetattr(&pty)?;
    nix::sys::prctl::set_name(c"mica-console")?;
    let end = termination()?;
    if let Some(filter) = Filter::relay() {
        filter.install()?;
    }
    let mode = OFlag::from_bits_retain(fcntl(&pty, FcntlArg::F_GETFL)?);
    fcntl(&pty, FcntlArg::F_SETFL(mode | OFlag::O_NONBLOCK))?;
    let (output, input) = (VecDeque::new(), VecDeque::new());
    let mut relay =
        Relay { socket, pty, end, kept: false, rpmsg: None, output, input, full: false, gone: false };
    while !relay.step(Some(&daemon).filter(|_| !relay.kept))? {}
    Ok(())
}

/// Readable once SIGTERM has come. Nothing else would show it: the kernel keeps the signal from the first process of a PID
/// namespace that has asked for no notice of it, and the end of the machine would wait for this one.
fn termination() -> nix::Result<SignalFd> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)
}

struct Relay {
    socket: OwnedFd,
    pty: OwnedFd,
    end: SignalFd,
    /// Whether the daemon has written this process down: it lives longer than the daemon then.
    kept: bool,
    /// The terminal that is relayed.
    rpmsg: Option<OwnedFd>,
    /// From the firmware to its reader.
    output: VecDeque<u8>,
    /// To the firmware.
    input: VecDeque<u8>,
    /// The firmware has no room.
    full: bool,
    /// The terminal is no more; the rest of its output is on the way.
    gone: bool,
}

impl Relay {
    /// Waits for something to do, and does it. True if that was to end: at SIGTERM, or with the `daemon` that has not
    /// written this process down.
    fn step(&mut self, daemon: Option<&OwnedFd>) -> io::Result<bool> {
        let [socket, pty, rpmsg, ended, asked] = self.wait(daemon)?;
        if !asked.is_empty() {
            return Ok(true);
        }
        if !socket.is_empty() || !ended.is_empty() {
            // All that it has said, before it counts as gone.
            self.obey()?;
        }
        if !ended.is_empty() && !self.kept {
            return Ok(true);
        }
        if rpmsg.intersects(PollFlags::POLLIN | PollFlags::POLLHUP | PollFlags::POLLERR) {
            self.read_rpmsg(rpmsg.intersects(PollFlags::POLLHUP | PollFlags::POLLERR))?;
        }
        if pty.contains(PollFlags::POLLIN) {
            read_into(&self.pty, &mut self.input)?;
        }
        self.write_pty()?;
        self.write_rpmsg()?;
        if self.gone && self.output.is_empty() {
            self.gone = false;
            self.rpmsg = None;
            rustix::net::send(&self.socket, &[DONE], SendFlags::NOSIGNAL)?;
        }
        Ok(false)
    }

    /// Waits for something to do; gives what socket, pty, terminal, daemon and SIGTERM are ready for.
    fn wait(&self, daemon: Option<&OwnedFd>) -> io::Result<[PollFlags; 5]> {
        let live = self.rpmsg.as_ref().filter(|_| !self.gone);
        let mut for_pty = PollFlags::empty();
        for_pty.set(PollFlags::POLLIN, live.is_some() && self.input.is_empty());
        for_pty.set(PollFlags::POLLOUT, !self.output.is_empty());
        let mut for_rpmsg = PollFlags::empty();
        for_rpmsg.set(PollFlags::POLLIN, self.output.len() < BACKLOG);
        // What there is not is asked for nothing: the socket takes its place.
        let (rpmsg, for_rpmsg) = live.map_or((&self.socket, PollFlags::empty()), |fd| (fd, for_rpmsg));
        let (daemon, for_daemon) =
            daemon.map_or((&self.socket, PollFlags::empty()), |fd| (fd, PollFlags::POLLIN));
        let mut ready = [
            PollFd::new(self.socket.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.pty.as_fd(), for_pty),
            PollFd::new(rpmsg.as_fd(), for_rpmsg),
            PollFd::new(daemon.as_fd(), for_daemon),
            PollFd::new(self.end.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut ready, if self.full { RETRY_MS.into() } else { PollTimeout::NONE }) {
            Ok(_) | Err(Errno::EINTR) => Ok(ready.map(|fd| fd.revents().unwrap_or(PollFlags::empty()))),
            Err(e) => Err(e.into()),
        }
    }

    /// Takes the daemon's messages. A terminal that comes while there is one is the same once more.
    fn obey(&mut self) -> io::Result<()> {
        loop {
            let mut byte = [0];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
            let mut bytes = [IoSliceMut::new(&mut byte)];
            match rustix::net::recvmsg(&self.socket, &mut bytes, &mut control, flags) {
                Ok(message) if message.bytes > 0 => {}
                Ok(_) | Err(rustix::io::Errno::WOULDBLOCK) => return Ok(()),
                Err(rustix::io::Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            }
            self.kept |= byte == [KEEP];
            for message in control.drain() {
                if let RecvAncillaryMessage::ScmRights(fds) = message {
                    fds.for_each(|fd| _ = self.rpmsg.get_or_insert(fd));
                }
            }
        }
    }

    /// Reads what there is; of a terminal that is gone, to its end.
    fn read_rpmsg(&mut self, hung_up: bool) -> io::Result<()> {
        let Some(rpmsg) = &self.rpmsg else { return Ok(()) };
        while self.output.len() < BACKLOG || hung_up {
            match read_into(rpmsg, &mut self.output)? {
                Got::Bytes => {}
                Got::NothingYet => break,
                Got::End => {
                    self.gone = true;
                    self.full = false;
                    self.input.clear();
                    break;
                }
            }
        }
        Ok(())
    }

    fn write_pty(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match write(&self.pty, self.output.as_slices().0) {
                Ok(0) | Err(Errno::EWOULDBLOCK) => break,
                Ok(count) => drop(self.output.drain(..count)),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn write_rpmsg(&mut self) -> io::Result<()> {
        self.full = false;
        let Some(rpmsg) = &self.rpmsg else { return Ok(()) };
        while !self.input.is_empty() {
            match write(rpmsg, self.input.as_slices().0) {
                // `rpmsg_trysend` found no free buffer.
                Ok(0) | Err(Errno::EWOULDBLOCK | Errno::ENOMEM) => {
                    self.full = true;
                    break;
                }
                Ok(count) => drop(self.input.drain(..count)),
                Err(Errno::EINTR) => {}
                // The next read says the same.
                Err(Errno::EIO | Errno::ENXIO | Errno::ENODEV) => self.input.clear(),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}

enum Got {
    Bytes,
    NothingYet,
    End,
}

fn read_into(source: &impl AsFd, buffer: &mut VecDeque<u8>) -> io::Result<Got> {
    let mut chunk = [0; CHUNK];
    match read(source, &mut chunk) {
        // A terminal that was hung up reads as at its end, or as an error.
        Ok(0) | Err(Errno::EIO | Errno::ENXIO | Errno::ENODEV) => Ok(Got::End),
        Ok(count) => {
            buffer.extend(&chunk[..count]);
            Ok(Got::Bytes)
        }
        Err(Errno::EWOULDBLOCK | Errno::EINTR) => Ok(Got::NothingYet),
        Err(e) => Err(e.into()),
    }
}
