//! The bytes of a machine's state, between QEMU's pipe and the descriptor that came with the command.
//!
//! A file is served by a thread ([`blocking`]). Nobody knows how long a pipe's other end takes, so a pipe is served by
//! the reactor, where the transfer ends when its future is dropped.

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, PipeReader, PipeWriter};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;

use tokio::io::BufReader;
use tokio::net::unix::pipe;

use crate::blocking::{Place, TRANSFERS};

/// Bytes that are moved at a time: what a pipe holds.
const CHUNK: usize = 64 << 10;

/// Where a state is written.
pub(super) enum Destination {
    File(File, Place),
    Pipe(pipe::Sender),
}

/// Where a state is read.
pub(super) enum Source {
    File(File, Place),
    Pipe(pipe::Receiver),
}

impl Destination {
    /// Writes to what is open as `to`. Waits until a transfer may begin.
    pub(super) async fn open(to: OwnedFd) -> io::Result<Self> {
        match kind(&to)? {
            Kind::File(file) => Ok(Self::File(file, TRANSFERS.place().await)),
            Kind::Pipe(path) => pipe::OpenOptions::new().open_sender(path).map(Self::Pipe),
        }
    }

    /// Takes all that comes out of `from`.
    pub(super) async fn fill(self, mut from: PipeReader) -> io::Result<()> {
        match self {
            Self::File(mut to, place) => {
                place
                    .run(move || {
                        io::copy(&mut from, &mut to)?;
                        match to.sync_data() {
                            // What cannot be synchronised, a device say, keeps nothing either.
                            Err(e) if e.kind() == ErrorKind::InvalidInput => Ok(()),
                            other => other,
                        }
                    })
                    .await
            }
            Self::Pipe(mut to) => {
                let from = pipe::Receiver::from_owned_fd(from.into())?;
                tokio::io::copy_buf(&mut BufReader::with_capacity(CHUNK, from), &mut to).await.map(drop)
            }
        }
    }
}

impl Source {
    /// Reads from what is open as `from`. Waits until a transfer may begin.
    pub(super) async fn open(from: OwnedFd) -> io::Result<Self> {
        match kind(&from)? {
            Kind::File(file) => Ok(Self::File(file, TRANSFERS.place().await)),
            Kind::Pipe(path) => pipe::OpenOptions::new().open_receiver(path).map(Self::Pipe),
        }
    }

    /// Puts all that there is into `to`.
    pub(super) async fn drain(self, mut to: PipeWriter) -> io::Result<()> {
        match self {
            Self::File(mut from, place) => place.run(move || io::copy(&mut from, &mut to).map(drop)).await,
            Self::Pipe(from) => {
                let mut to = pipe::Sender::from_owned_fd(to.into())?;
                tokio::io::copy_buf(&mut BufReader::with_capacity(CHUNK, from), &mut to).await.map(drop)
            }
        }
    }
}

enum Kind {
    File(File),
    /// The path opens the pipe anew. The descriptor's own blocking mode is its other owners' as well, so it stays.
    Pipe(PathBuf),
}

fn kind(fd: &OwnedFd) -> io::Result<Kind> {
    let file = File::from(fd.try_clone()?);
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() {
        return Ok(Kind::Pipe(format!("/proc/self/fd/{}", fd.as_raw_fd()).into()));
    }
    if kind.is_socket() || file.is_terminal() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "a state needs a file or a pipe"));
    }
    Ok(Kind::File(file))
}
