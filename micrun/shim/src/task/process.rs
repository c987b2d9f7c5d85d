//! What every process has besides its life, whatever runs it: its names, its streams' upkeep, its terminal.

use std::sync::{Arc, Mutex};

use tokio::net::unix::pipe::Sender;

use super::exit::Exit;
use super::life::Life;
use super::subject::Subject;
use crate::os::lock::lock;
use crate::os::tty::{Terminal, Tty};
use crate::stdio::{Loggers, Paths, Streams};

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

    /// Gives up what only a running process needs.
    pub(crate) fn release(&self) {
        let mut upkeep = lock(&self.upkeep);
        upkeep.keep_stdin = None;
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
