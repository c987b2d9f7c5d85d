//! A connection that is attached to a console.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::exchange::connect_to;
use crate::attach::{Attach, Chunk, Frames, Next};
use crate::command::Command;
use crate::reply::{FAILED, MAX_LEN, SUCCESS};
use crate::{Error, Result};

/// Most bytes to take at a time.
const CHUNK: usize = 64 << 10;

/// A connection that is attached to a console. See [`super::Client::attach`].
#[derive(Debug)]
pub struct Attached {
    socket: PathBuf,
    stream: UnixStream,
}

/// What the console shows.
#[derive(Debug)]
pub struct Output {
    socket: PathBuf,
    stream: OwnedReadHalf,
    frames: Frames,
    /// The position of the byte that comes next, once one has come.
    position: Option<u64>,
}

impl Attached {
    pub(super) async fn open(socket: &Path, attach: &Attach) -> Result<Self> {
        let command = Command::Attach(attach.clone());
        let request = command.encode()?;
        let io_error = |source| Error::Io { socket: socket.to_owned(), source };
        let mut stream = connect_to(socket).await?;
        match stream.write_all(&request).await {
            // A daemon that refuses us may have answered and closed already: its words are worth more.
            Err(e) if matches!(e.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
            other => other.map_err(io_error)?,
        }
        let mut reply = vec![0; SUCCESS.len()];
        let mut have = 0;
        while have < reply.len() {
            match stream.read(&mut reply[have..]).await.map_err(io_error)? {
                0 => break,
                count => have += count,
            }
        }
        reply.truncate(have);
        if reply != SUCCESS.as_bytes() {
            stream.take(MAX_LEN as u64).read_to_end(&mut reply).await.map_err(io_error)?;
            return Err(refused(&command, &String::from_utf8_lossy(&reply)));
        }
        Ok(Self { socket: socket.to_owned(), stream })
    }

    /// The connection, from which nothing was read yet but that it is attached.
    pub fn into_stream(self) -> UnixStream {
        self.stream
    }

    /// What the console shows, and where to type.
    pub fn split(self) -> (Output, OwnedWriteHalf) {
        let (stream, input) = self.stream.into_split();
        (Output { socket: self.socket, stream, frames: Frames::default(), position: None }, input)
    }
}

impl Output {
    /// What comes next; `None` at the end. May be cancelled.
    pub async fn next(&mut self) -> Result<Option<Chunk>> {
        let malformed = |problem: &str| Error::MalformedReply {
            command: "attach".to_owned(),
            problem: problem.to_owned(),
        };
        let mut buffer = vec![0; CHUNK];
        loop {
            match self.frames.next() {
                Next::Chunk(chunk) => {
                    self.position = Some(chunk.position + chunk.bytes.len() as u64);
                    return Ok(Some(chunk));
                }
                Next::End(_) => return Ok(None),
                Next::Malformed => return Err(malformed("it is no frame of a console")),
                Next::Incomplete => {}
            }
            match self.stream.read(&mut buffer).await {
                Ok(0) => return Err(Error::ConsoleLost { position: self.position }),
                Ok(count) => self.frames.push(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::ConnectionReset => {
                    return Err(Error::ConsoleLost { position: self.position });
                }
                Err(source) => return Err(Error::Io { socket: self.socket.clone(), source }),
            }
        }
    }
}

fn refused(command: &Command, reply: &str) -> Error {
    let command = command.name().to_owned();
    match reply.strip_suffix(FAILED) {
        Some(text) if text.starts_with("Invalid command") => Error::Unsupported { command },
        Some(text) => Error::Failed { command, text: text.to_owned() },
        None => Error::MalformedReply { command, problem: "it ended without a marker".to_owned() },
    }
}
