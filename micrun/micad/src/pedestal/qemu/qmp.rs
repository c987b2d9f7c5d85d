//! QMP, QEMU's control protocol: JSON documents, one a line, over a unix socket.
//!
//! QEMU runs what may be hostile firmware, so what it says is bounded and checked like any other input.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use crate::error::file;
use crate::{Error, Result};

/// Longest document accepted, in bytes; real ones have hundreds.
const MAX_DOCUMENT: usize = 64 << 10;
/// Events kept while a command waits for its answer.
const MAX_EVENTS: usize = 16;

/// An event that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event {
    /// `SHUTDOWN`, with its reason.
    Shutdown(String),
    /// `GUEST_PANICKED`.
    Panicked,
    /// `STOP` or `RESUME`: see [`Qmp::machine_stopped`].
    StoppedOrResumed,
}

/// A connection whose capabilities are negotiated.
#[derive(Debug)]
pub(super) struct Qmp {
    stream: UnixStream,
    received: Vec<u8>,
    events: VecDeque<Event>,
    last_id: u64,
    machine_stopped: bool,
    /// The last word on a migration that nobody has taken yet.
    migration: Option<String>,
}

impl Qmp {
    /// Connects to the socket at `path` and negotiates. Not bounded in time: the caller is.
    pub(super) async fn connect(path: &Path) -> Result<Self> {
        let stream = UnixStream::connect(path).await.map_err(file("connect to", path))?;
        let mut qmp = Self {
            stream,
            received: Vec::new(),
            events: VecDeque::new(),
            last_id: 0,
            machine_stopped: true,
            migration: None,
        };
        let greeting = qmp.document().await?;
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
        self.machine_stopped
    }

    /// The next event. May be cancelled and called again.
    pub(super) async fn event(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let document = self.document().await?;
            self.keep_event(&document);
        }
    }

    /// Makes up for what happened while nobody was connected.
    pub(super) fn missed(&mut self, machine_stopped: bool, event: Option<Event>) {
        self.machine_stopped = machine_stopped;
        self.events.extend(event);
    }

    /// Lets the machine run. QEMU says `RESUME` before the first instruction, but its answer may be late: once
    /// the firmware waits for a reader of its console, QEMU waits with it.
    pub(super) async fn resume(&mut self, bound: Duration) -> Result<()> {
        let resumed = async {
            let id = self.send("cont", json!({}), None).await?;
            while self.answer("cont", id).await?.is_none() && self.machine_stopped {}
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

    /// Waits until a migration has come to its end, and says to which.
    pub(super) async fn migrated(&mut self) -> Result<String> {
        loop {
            match self.migration.take() {
                Some(status) if matches!(status.as_str(), "completed" | "failed" | "cancelled") => {
                    return Ok(status);
                }
                _ => {
                    let document = self.document().await?;
                    self.keep_event(&document);
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
        self.keep_event(&document);
        if document.get("id").and_then(Value::as_u64) != Some(id) {
            return Ok(None);
        }
        if let Some(error) = document.get("error") {
            let text = error.get("desc").and_then(Value::as_str).unwrap_or("failed without a reason");
            return Err(Error::Qmp(format!("{command}: {text}")));
        }
        Ok(Some(document.get_mut("return").map(Value::take).unwrap_or_default()))
    }

    fn keep_event(&mut self, document: &Value) {
        let event = match document.get("event").and_then(Value::as_str) {
            Some("SHUTDOWN") => {
                let reason = document.pointer("/data/reason").and_then(Value::as_str).unwrap_or_default();
                Event::Shutdown(reason.to_owned())
            }
            Some("MIGRATION") => {
                let status = document.pointer("/data/status").and_then(Value::as_str);
                self.migration = status.map(str::to_owned);
                return;
            }
            Some("GUEST_PANICKED" | "GUEST_CRASHLOADED") => Event::Panicked,
            Some(change @ ("STOP" | "RESUME")) => {
                self.machine_stopped = change == "STOP";
                Event::StoppedOrResumed
            }
            _ => return,
        };
        if self.events.len() < MAX_EVENTS && self.events.back() != Some(&event) {
            self.events.push_back(event);
        }
    }

    /// The next document. Nothing is lost when this is cancelled: bytes wait in `received`.
    async fn document(&mut self) -> Result<Value> {
        loop {
            if let Some(end) = self.received.iter().position(|&b| b == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|e| Error::Qmp(format!("not JSON: {e}")));
            }
            if self.received.len() > MAX_DOCUMENT {
                return Err(Error::Qmp(format!("a line of more than {MAX_DOCUMENT} bytes")));
            }
            let read = self.stream.read_buf(&mut self.received).await;
            if read.map_err(|e| Error::Qmp(e.to_string()))? == 0 {
                return Err(Error::Qmp("closed".to_owned()));
            }
        }
    }
}
