//! One request and its reply over one connection.

use std::io::{self, ErrorKind, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::ext::MAX_DESCRIPTORS;
use crate::reply::{Outcome, Reply, ReplyParser};
use crate::{Error, Result};

/// How long to wait before another try when the daemon's backlog is full: the kernel gives no event for it.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

/// Sends `request` to `socket`, `fds` with it, and gives the text of a successful reply.
pub(super) async fn exchange(
    socket: &Path,
    command: &str,
    request: &[u8],
    fds: &[BorrowedFd<'_>],
    bound: Option<Duration>,
) -> Result<String> {
    let work = converse(socket, command, request, fds);
    let reply = match bound {
        None => work.await?,
        Some(after) => tokio::time::timeout(after, work)
            .await
            .map_err(|_| Error::Timeout { command: command.to_owned(), after })??,
    };
    match reply.outcome {
        Outcome::Success => Ok(reply.text),
        Outcome::Failed => Err(Error::Failed { command: command.to_owned(), text: reply.text }),
    }
}

async fn converse(socket: &Path, command: &str, request: &[u8], fds: &[BorrowedFd<'_>]) -> Result<Reply> {
    let io_error = |source| Error::Io { socket: socket.to_owned(), source };
    let mut stream = connect_to(socket).await?;
    match send(&mut stream, request, fds).await {
        // A daemon that refuses us may have answered and closed already: its words are worth more.
        Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        other => other.map_err(io_error)?,
    }
    let mut parser = ReplyParser::new();
    let mut chunk = [0; 512];
    loop {
        let malformed = |problem: crate::reply::ReplyError| Error::MalformedReply {
            command: command.to_owned(),
            problem: problem.to_string(),
        };
        let n = match stream.read(&mut chunk).await {
            Err(e) if e.kind() == ErrorKind::ConnectionReset => 0,
            other => other.map_err(io_error)?,
        };
        if n == 0 {
            return Err(malformed(parser.end()));
        }
        if let Some(reply) = parser.push(&chunk[..n]).map_err(malformed)? {
            return Ok(reply);
        }
    }
}

/// Writes the request. Descriptors travel with its first byte, and the kernel closes those that the daemon does
/// not take (unix(7), `SCM_RIGHTS`): upstream's takes none.
async fn send(stream: &mut UnixStream, request: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    if fds.is_empty() {
        return stream.write_all(request).await;
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let sent = stream
        .async_io(Interest::WRITABLE, || {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !control.push(SendAncillaryMessage::ScmRights(fds)) {
                return Err(io::Error::new(ErrorKind::InvalidInput, "too many descriptors for one command"));
            }
            let bytes = [IoSlice::new(request)];
            Ok(rustix::net::sendmsg(&*stream, &bytes, &mut control, SendFlags::NOSIGNAL)?)
        })
        .await?;
    stream.write_all(&request[sent..]).await
}

/// A connection to a socket of the daemon.
pub(super) async fn connect_to(socket: &Path) -> Result<UnixStream> {
    connect(socket).await.map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            Error::DaemonNotRunning { socket: socket.to_owned() }
        }
        ErrorKind::PermissionDenied => Error::OutOfReach { socket: socket.to_owned() },
        _ => Error::Io { socket: socket.to_owned(), source },
    })
}

/// The error for what the daemon's own socket has refused. A daemon that does not know a word takes it for a create
/// message: upstream's for one whose firmware path is empty, an earlier one of ours for one that is too short.
pub(super) fn refused(command: String, text: String) -> Error {
    let unknown = text.starts_with("Invalid command")
        || text.trim_end() == "No such file:"
        || text.starts_with("a create message has ");
    if unknown { Error::Unsupported { command } } else { Error::Failed { command, text } }
}

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(e) if e.kind() == ErrorKind::WouldBlock => tokio::time::sleep(BACKLOG_RETRY).await,
            other => return other,
        }
    }
}
