//! Exec: a command line for the firmware's shell. It has no process of its own; the Task API sees one all the same.

use std::sync::Mutex;

use serde::Deserialize;
use tokio::sync::watch;

use super::end::stops;
use crate::error::{Error, Result};
use crate::os::lock::lock;
use crate::stdio::{Paths, Streams};
use crate::task::events::EventSink;
use crate::task::exit::Exit;
use crate::task::process::Process;
use crate::task::state::State;

/// Longest command line in bytes.
const MAX_COMMAND: usize = 1024;

/// What Docker puts before a command that is one string, as those of health checks are.
const SHELL_FORM: [&str; 2] = ["/bin/sh", "-c"];

/// What the specification of a process says that has a meaning here (OCI runtime-spec, `process`).
#[derive(Debug, Deserialize)]
struct Specification {
    #[serde(default)]
    args: Vec<String>,
}

/// A command for the shell.
#[derive(Debug)]
pub(crate) struct Exec {
    /// The command as a process.
    pub process: Process,
    /// Its line.
    pub command: String,
    /// What containerd takes for its process id.
    pid: u32,
    /// Open streams, until it runs.
    streams: Mutex<Option<Streams>>,
    /// The end that a signal has asked for.
    killed: watch::Sender<Option<Exit>>,
}

impl Exec {
    /// A command that waits for Start.
    pub(super) fn new(
        (container, id): (&str, &str),
        pid: u32,
        paths: Paths,
        command: String,
        streams: Streams,
    ) -> Self {
        Self {
            process: Process::new(container, id, paths),
            command,
            pid,
            streams: Mutex::new(Some(streams)),
            killed: watch::Sender::new(None),
        }
    }

    /// Its streams, for the one who runs it.
    pub(super) fn take_streams(&self) -> Streams {
        lock(&self.streams).take().unwrap_or_default()
    }

    /// TERM, KILL and INT end it; any other signal has no meaning.
    pub(crate) fn kill(&self, events: &dyn EventSink, signal: u32) -> Result<()> {
        if self.process.life.state().is_over() {
            return Err(self.process.life.finished());
        }
        if stops(signal) {
            self.end(events, Exit::signalled(signal));
        }
        Ok(())
    }

    /// Ends it: at once if it does not run yet, else as soon as its shell is let go.
    pub(super) fn end(&self, events: &dyn EventSink, exit: Exit) {
        if self.process.life.state() == State::Created {
            self.finish(events, exit);
        } else {
            self.killed.send_replace(Some(exit));
        }
    }

    /// Tells when a signal has asked for its end.
    pub(super) fn killed(&self) -> Killed {
        Killed(self.killed.subscribe())
    }

    /// Begins Delete.
    pub(super) fn delete(&self) -> Result<Exit> {
        let exit = self.process.life.delete()?;
        // They are there if it never ran.
        *lock(&self.streams) = None;
        Ok(exit)
    }

    /// Makes the end known, once.
    pub(super) fn finish(&self, events: &dyn EventSink, exit: Exit) {
        *lock(&self.streams) = None;
        self.process.life.finish(events, self.pid, exit);
    }
}

/// The word that a command is to end.
pub(super) struct Killed(watch::Receiver<Option<Exit>>);

impl Killed {
    /// Waits for it.
    pub(super) async fn wait(&mut self) -> Exit {
        let sent = self.0.wait_for(Option::is_some).await.ok().and_then(|sent| sent.clone());
        match sent {
            Some(exit) => exit,
            None => std::future::pending().await,
        }
    }
}

/// The line that the specification of a process asks for: its arguments, or the line that a Linux container's shell would
/// get. The firmware's shell takes its place.
pub(super) fn command(spec: &[u8]) -> Result<String> {
    let process: Specification = serde_json::from_slice(spec)
        .map_err(|error| Error::Invalid(format!("the exec's process cannot be read: {error}")))?;
    let line = match process.args.as_slice() {
        [shell, option, line] if [shell, option] == SHELL_FORM => line.clone(),
        args => args.join(" "),
    };
    if line.trim().is_empty() || line.len() > MAX_COMMAND || line.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "exec needs a command of one line, at most {MAX_COMMAND} bytes, without control characters"
        )));
    }
    Ok(line)
}
