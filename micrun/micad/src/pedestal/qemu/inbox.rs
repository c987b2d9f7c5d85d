//! What QEMU says over QMP, taken apart: bytes in, documents and events out.
//!
//! QEMU runs what may be hostile firmware, so what it says is bounded and checked like any other input. Nothing here
//! needs the rest of the daemon: `fuzz/` compiles this file by itself.

use std::collections::VecDeque;

use serde_json::Value;

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
    /// `STOP` or `RESUME`: see [`Inbox::machine_stopped`].
    StoppedOrResumed,
}

/// What has been said and not been taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    /// Bytes that are no whole document yet.
    pub received: Vec<u8>,
    /// What happened.
    pub events: VecDeque<Event>,
    /// Whether the machine's CPUs stand still, as far as QEMU has said.
    pub machine_stopped: bool,
    /// The last word on a migration.
    pub migration: Option<String>,
}

impl Inbox {
    /// Of a QEMU that has said nothing; it begins with its CPUs standing still.
    pub(super) fn new() -> Self {
        Self { received: Vec::new(), events: VecDeque::new(), machine_stopped: true, migration: None }
    }

    /// Takes the next document out of what was received, if it is whole.
    pub(super) fn document(&mut self) -> Result<Option<Value>, String> {
        if let Some(end) = self.received.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = self.received.drain(..=end).collect();
            return serde_json::from_slice(&line).map(Some).map_err(|e| format!("not JSON: {e}"));
        }
        if self.received.len() > MAX_DOCUMENT {
            return Err(format!("a line of more than {MAX_DOCUMENT} bytes"));
        }
        Ok(None)
    }

    /// Keeps what a document tells of the machine, if it is an event.
    pub(super) fn keep_event(&mut self, document: &Value) {
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

    /// The return value of the command with this id, if that is what a document is; or why it failed. Answers to
    /// requests that were not waited for carry another id.
    pub(super) fn answer(document: &mut Value, id: u64) -> Result<Option<Value>, String> {
        if document.get("id").and_then(Value::as_u64) != Some(id) {
            return Ok(None);
        }
        if let Some(error) = document.get("error") {
            let text = error.get("desc").and_then(Value::as_str).unwrap_or("failed without a reason");
            return Err(text.to_owned());
        }
        Ok(Some(document.get_mut("return").map(Value::take).unwrap_or_default()))
    }
}
