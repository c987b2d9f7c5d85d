//! One request and its reply over one connection.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::reply::{Outcome, Reply, ReplyParser};
use crate::{Error, Result};

/// How long to wait before another try when the daemon's backlog is full: the kernel gives no event for it.
const BACKLOG_RETRY: Duration = Duration::from_millis(10);

/// Sends `request` to `socket` and gives the text of a successful reply.
pub(super) async fn exchange(
    socket: &Path,
    command: &str,
    request: &[u8],
    bound: Option<Duration>,
) -> Result<String> {
    let work = converse(socket, command, request);
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

async fn converse(socket: &Path, command: &str, request: &[u8]) -> Result<Reply> {
    let io_error = |source| Error::Io { socket: socket.to_owned(), source };
    let mut stream = connect(socket).await.map_err(|source| match source.kind() {
        ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
            Error::DaemonNotRunning { socket: socket.to_owned() }
        }
        _ => io_error(source),
    })?;
    match stream.write_all(request).await {
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

async fn connect(socket: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(socket).await {
            Err(e) if e.kind() == ErrorKind::WouldBlock => tokio::time::sleep(BACKLOG_RETRY).await,
            other => return other,
        }
    }
}
