//! What firmware writes to, from the broker's side.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::{read, write};

use super::trace::Trace;

/// Bytes in one read; a pty gives no more at a time.
pub(super) const CHUNK: usize = 4096;
/// Most bytes in a write to an endpoint: those of a buffer of rpmsg's without its header. A channel takes a write as a
/// message, or not at all.
const MESSAGE: usize = 496;

/// What firmware writes to.
pub(super) enum Terminal {
    /// The kernel's terminal of an rpmsg endpoint, or its character device.
    Rpmsg(OwnedFd),
    /// A pty, of which the slave is read. Without the master, what is in there would go with whoever writes.
    Pty { slave: OwnedFd, _master: OwnedFd },
    /// A text in memory.
    Trace(Trace),
}

/// What a read has given.
pub(super) enum Got {
    Bytes(usize),
    NothingYet,
    End,
}

impl Terminal {
    /// That of an rpmsg endpoint.
    pub(super) fn rpmsg(fd: OwnedFd) -> io::Result<Self> {
        make_nonblocking(&fd)?;
        Ok(Self::Rpmsg(fd))
    }

    /// A pty, by both its ends.
    pub(super) fn pty(slave: OwnedFd, master: OwnedFd) -> io::Result<Self> {
        make_nonblocking(&slave)?;
        Ok(Self::Pty { slave, _master: master })
    }

    /// What tells that there is something to read; a trace tells nothing.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Rpmsg(fd) | Self::Pty { slave: fd, .. } => Some(fd.as_fd()),
            Self::Trace(_) => None,
        }
    }

    /// Whether it is an endpoint's: its end shows where it is read, and nothing shows when it has room.
    pub(super) fn is_rpmsg(&self) -> bool {
        matches!(self, Self::Rpmsg(_))
    }

    /// The trace that it is, if it is one.
    pub(super) fn trace(&self) -> Option<&Trace> {
        match self {
            Self::Trace(trace) => Some(trace),
            _ => None,
        }
    }

    /// Takes what is there.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        match self {
            Self::Rpmsg(fd) | Self::Pty { slave: fd, .. } => read_some(fd, buffer),
            Self::Trace(trace) => Ok(trace.read(buffer)),
        }
    }

    /// Types; what reads no input takes everything.
    pub(super) fn write(&self, bytes: &[u8]) -> nix::Result<usize> {
        match self {
            Self::Rpmsg(fd) => write(fd, &bytes[..bytes.len().min(MESSAGE)]),
            Self::Pty { slave, .. } => write(slave, bytes),
            Self::Trace(_) => Ok(bytes.len()),
        }
    }
}

/// Reads what is there.
pub(super) fn read_some(source: &impl AsFd, buffer: &mut [u8]) -> io::Result<Got> {
    match read(source, buffer) {
        // A terminal that was hung up reads as at its end, or as an error; a channel that was withdrawn as a broken pipe.
        Ok(0) | Err(Errno::EIO | Errno::ENXIO | Errno::ENODEV | Errno::EPIPE) => Ok(Got::End),
        Ok(count) => Ok(Got::Bytes(count)),
        Err(Errno::EWOULDBLOCK | Errno::EINTR) => Ok(Got::NothingYet),
        Err(e) => Err(e.into()),
    }
}

/// The same, behind what is in `buffer`.
pub(super) fn read_into(source: &impl AsFd, buffer: &mut VecDeque<u8>) -> io::Result<()> {
    let mut chunk = [0; CHUNK];
    if let Got::Bytes(count) = read_some(source, &mut chunk)? {
        buffer.extend(&chunk[..count]);
    }
    Ok(())
}

/// Has nothing wait there.
pub(super) fn make_nonblocking(fd: &impl AsFd) -> io::Result<()> {
    let mode = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
    fcntl(fd, FcntlArg::F_SETFL(mode | OFlag::O_NONBLOCK))?;
    Ok(())
}
