//! QMP, QEMU's control protocol: JSON documents, one a line, over a unix socket.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

pub(super) use super::inbox::Event;
use super::inbox::Inbox;
use crate::error::file;
use crate::{Error, Result};

/// A connection whose capabilities are negotiated.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: UnixStream,
    inbox: Inbox,
    last_id: u64,
}

impl Qmp {
    /// Connects to the socket at `path` and negotiates. Not bounded in time: the caller is.
    pub(super) async fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).await.map_err(file("connect to", path))?;
        let mut qmp = Self { stream, inbox: Inbox::new(), last_id: 0 };
        // What QEMU could not tell a daemon that is gone comes before its greeting.
        let greeting = loop {
            let document = qmp.document().await?;
            if document.get("event").is_none() {
                break document;
            }
            qmp.inbox.keep_event(&document);
        };
        if greeting.get("QMP").is_none() {
            return Err(Error::Qmp(format!("no greeting, but {greeting}")));
        }
        qmp.request("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Runs `command` and gives its return value, or [`Error::QmpTimeout`] after `bound`.
    pub(super) async fn execute(
        &mut self,
        command: &'static str,
        arguments: Value,
        bound: Duration,
    ) -> Result<Value> {
        tokio::time::timeout(bound, self.request(command, arguments))
            .await
            .map_err(|_| Error::QmpTimeout(command))?
    }

    /// Whether the machine's CPUs stand still, as far as QEMU has said.
    pub(super) fn machine_stopped(&self) -> bool {
        self.inbox.machine_stopped
    }

    /// The next event. May be cancelled and called again.
    pub(super) async fn event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.inbox.events.pop_front() {
                return Ok(event);
            }
            let document = self.document().await?;
            self.inbox.keep_event(&document);
        }
    }

    /// Makes up for what happened while nobody was connected.
    pub(super) fn missed(&mut self, machine_stopped: bool, event: Option<Event>) {
        self.inbox.machine_stopped = machine_stopped;
        self.inbox.events.extend(event);
    }

    /// Lets the machine run. QEMU says `RESUME` before the first instruction, but its answer may be late: once
    /// the firmware waits for a reader of its console, QEMU waits with it.
    pub(super) async fn resume(&mut self, bound: Duration) -> Result<()> {
        let resumed = async {
            let id = self.send("cont", json!({}), None).await?;
            while self.answer("cont", id).await?.is_none() && self.inbox.machine_stopped {}
            Ok(())
        };
        tokio::time::timeout(bound, resumed).await.map_err(|_| Error::QmpTimeout("cont"))?
    }

    /// Hands QEMU a descriptor, which it then knows by `name`.
    pub(super) async fn give(&mut self, name: &str, fd: BorrowedFd<'_>, bound: Duration) -> Result<()> {
        let given = async {
            let id = self.send("getfd", json!({"fdname": name}), Some(fd)).await?;
            while self.answer("getfd", id).await?.is_none() {}
            Ok(())
        };
        tokio::time::timeout(bound, given).await.map_err(|_| Error::QmpTimeout("getfd"))?
    }

    /// Forgets what was said of an earlier migration.
    pub(super) fn forget_migration(&mut self) {
        self.inbox.migration = None;
    }

    /// Waits until a migration has come to its end, and says to which.
    pub(super) async fn migrated(&mut self) -> Result<String> {
        loop {
            match self.inbox.migration.take() {
                Some(status) if matches!(status.as_str(), "completed" | "failed" | "cancelled") => {
                    return Ok(status);
                }
                _ => {
                    let document = self.document().await?;
                    self.inbox.keep_event(&document);
                }
            }
        }
    }

    async fn request(&mut self, command: &'static str, arguments: Value) -> Result<Value> {
        let id = self.send(command, arguments, None).await?;
        loop {
            if let Some(value) = self.answer(command, id).await? {
                return Ok(value);
            }
        }
    }

    async fn send(
        &mut self,
        command: &'static str,
        arguments: Value,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<u64> {
        self.last_id += 1;
        let id = self.last_id;
        let mut line = json!({"execute": command, "arguments": arguments, "id": id}).to_string();
        line.push('\n');
        let wrong = |e| Error::Qmp(format!("{command}: {e}"));
        let sent = match fd {
            Some(fd) => self.send_with(line.as_bytes(), fd).await.map_err(wrong)?,
            None => 0,
        };
        self.stream.write_all(&line.as_bytes()[sent..]).await.map_err(wrong)?;
        Ok(id)
    }

    async fn send_with(&mut self, bytes: &[u8], fd: BorrowedFd<'_>) -> io::Result<usize> {
        let fds = [fd];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let stream = &self.stream;
        stream
            .async_io(Interest::WRITABLE, || {
                let mut control = SendAncillaryBuffer::new(&mut space);
                control.push(SendAncillaryMessage::ScmRights(&fds));
                Ok(rustix::net::sendmsg(stream, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
            })
            .await
    }

    /// Reads one document: the return value of the command with this id, or something else. Answers to
    /// requests that were not waited for carry another id.
    async fn answer(&mut self, command: &'static str, id: u64) -> Result<Option<Value>> {
        let mut document = self.document().await?;
        self.inbox.keep_event(&document);
        Inbox::answer(&mut document, id).map_err(|reason| Error::Qmp(format!("{command}: {reason}")))
    }

    /// The next document. Nothing is lost when this is cancelled: bytes wait in `received`.
    async fn document(&mut self) -> Result<Value> {
        loop {
            if let Some(document) = self.inbox.document().map_err(Error::Qmp)? {
                return Ok(document);
            }
            let read = self.stream.read_buf(&mut self.inbox.received).await;
            if read.map_err(|e| Error::Qmp(e.to_string()))? == 0 {
                return Err(Error::Qmp("closed".to_owned()));
            }
        }
    }
}
