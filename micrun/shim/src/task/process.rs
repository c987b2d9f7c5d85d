//! What every process has besides its life, whatever runs it: its names, its streams' upkeep, its terminal.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use tokio::net::unix::pipe::Sender;

use super::exit::Exit;
use super::life::Life;
use super::subject::Subject;
use crate::os::lock::lock;
use crate::os::tty::{Terminal, Tty};
use crate::stdio::{self, Loggers, Paths, Streams};

/// A process of a container, as the Task API sees it.
#[derive(Debug)]
pub(crate) struct Process {
    /// The container's id for its init process, the exec's own for an exec.
    pub id: String,
    /// Its streams, as Create or Exec named them.
    pub paths: Paths,
    /// Its state and its end.
    pub life: Life,
    upkeep: Mutex<Upkeep>,
}

/// What is kept for it until its end.
#[derive(Debug, Default)]
struct Upkeep {
    /// Keeps stdin from ending while nobody is attached.
    keep_stdin: Option<Sender>,
    /// The FIFO behind stdin, if it is of interest who has it open.
    stdin: Option<OwnedFd>,
    /// Files and logging programs, until Delete.
    loggers: Loggers,
    terminal: Terminal,
}

impl Process {
    /// One that does not run yet. An empty `exec_id` is the container's init process.
    pub(crate) fn new(container: &str, exec_id: &str, paths: Paths) -> Self {
        let id = if exec_id.is_empty() { container } else { exec_id };
        let life = Life::new(Subject::process(container, exec_id));
        Self { id: id.to_owned(), paths, life, upkeep: Mutex::default() }
    }

    /// Keeps of the open streams what the process needs until its end.
    pub(crate) fn keep(&self, streams: &mut Streams) {
        let mut upkeep = lock(&self.upkeep);
        upkeep.keep_stdin = streams.keep_stdin.take();
        upkeep.loggers = std::mem::take(&mut streams.loggers);
    }

    /// Has [`Self::stdin_is_in_use`] know stdin.
    pub(crate) fn watch_stdin(&self, streams: &Streams) {
        lock(&self.upkeep).stdin = streams.stdin_fifo().unwrap_or_else(|error| {
            log::warn!(
                container = self.life.subject().container();
                "{}: whether its stdin is in use will not be known: {error}", self.id
            );
            None
        });
    }

    /// Whether a client has stdin open. Must be called on the thread that reads it.
    pub(crate) fn stdin_is_in_use(&self) -> bool {
        let mut upkeep = lock(&self.upkeep);
        let Upkeep { stdin, keep_stdin, .. } = &mut *upkeep;
        let Some(fifo) = stdin else { return false };
        stdio::is_in_use(fifo, keep_stdin).unwrap_or_else(|error| {
            log::warn!(container = self.life.subject().container(); "{}: whether its stdin is in use is not known: {error}", self.id);
            true
        })
    }

    /// Lets stdin end when its writers have gone.
    pub(crate) fn close_stdin(&self) {
        lock(&self.upkeep).keep_stdin = None;
    }

    /// Its terminal is there.
    pub(crate) fn terminal_opened(&self, tty: Arc<Tty>) {
        lock(&self.upkeep).terminal.opened(&self.id, tty);
    }

    /// Tells its terminal the size.
    pub(crate) fn resize(&self, columns: u32, rows: u32) {
        lock(&self.upkeep).terminal.resize(&self.id, columns, rows);
    }

    /// Gives stdin up: nobody reads it any more.
    pub(crate) fn end_stdin(&self) {
        let mut upkeep = lock(&self.upkeep);
        (upkeep.keep_stdin, upkeep.stdin) = (None, None);
    }

    /// Gives up what only a running process needs.
    pub(crate) fn release(&self) {
        let mut upkeep = lock(&self.upkeep);
        (upkeep.keep_stdin, upkeep.stdin) = (None, None);
        upkeep.terminal.close();
    }

    /// Waits until all its output is in its files; the streams must have been dropped.
    pub(crate) async fn output_written(&self) {
        let mut loggers = std::mem::take(&mut lock(&self.upkeep).loggers);
        loggers.written().await;
        lock(&self.upkeep).loggers = loggers;
    }

    /// Ends its logging programs; the streams must have been dropped.
    pub(crate) async fn end_loggers(&self) {
        let loggers = std::mem::take(&mut lock(&self.upkeep).loggers);
        loggers.finish().await;
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Exit {
        self.life.wait().await
    }
}
