//! The stream of events: one request, and a reply that comes line by line until the daemon ends.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::exchange::{connect_to, refused};
use crate::command::Command;
use crate::reply::{FAILED, MAX_LEN, SUCCESS};
use crate::{Error, Result};

/// What happens to the clients of a daemon. See [`super::Client::events`].
#[derive(Debug)]
pub struct Events {
    socket: PathBuf,
    stream: UnixStream,
    received: Vec<u8>,
}

impl Events {
    pub(super) async fn open(socket: &Path) -> Result<Self> {
        let mut stream = connect_to(socket).await?;
        let request = Command::Events.encode()?;
        match stream.write_all(&request).await {
            // A daemon that refuses us may have answered and closed already: its words are worth more.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            other => other.map_err(|source| Error::Io { socket: socket.to_owned(), source })?,
        }
        Ok(Self { socket: socket.to_owned(), stream, received: Vec::new() })
    }

    /// The next line, one JSON document ([`crate::ext::Event`]); `None` once the daemon has ended in order. May be
    /// cancelled.
    pub async fn next(&mut self) -> Result<Option<String>> {
        let mut looked_at = 0;
        loop {
            if let Some(end) = self.received[looked_at..].iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=looked_at + end).collect();
                return Ok(Some(String::from_utf8_lossy(&line[..line.len() - 1]).into_owned()));
            }
            looked_at = self.received.len();
            if looked_at > MAX_LEN {
                return Err(malformed("a line of it is too long"));
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(0) => return self.end(),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::ConnectionReset => return self.end(),
                Err(source) => return Err(Error::Io { socket: self.socket.clone(), source }),
            }
        }
    }

    fn end(&self) -> Result<Option<String>> {
        let text = String::from_utf8_lossy(&self.received);
        if text == SUCCESS {
            return Ok(None);
        }
        match text.strip_suffix(FAILED) {
            Some(text) => Err(refused(Command::Events.to_string(), text.to_owned())),
            None => Err(malformed("it ended without MICA-SUCCESS: the daemon was killed; ask again")),
        }
    }
}

fn malformed(problem: &str) -> Error {
    Error::MalformedReply { command: Command::Events.to_string(), problem: problem.to_owned() }
}
