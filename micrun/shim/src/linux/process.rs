//! One process of a Linux container: its init process, or an exec.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::os::children::Child;
use crate::os::lock::lock;
use crate::stdio::Paths;
use crate::task::context::Context;
use crate::task::engine::View;
use crate::task::exit::Exit;
use crate::task::process::Process;

/// A process of the host, supervised from its first moment to its last.
#[derive(Debug)]
pub(super) struct LinuxProcess {
    /// What it is to the Task API.
    pub task: Process,
    /// Held while it is being started: its end is made known after its start, however soon it comes.
    pub gate: tokio::sync::Mutex<()>,
    host: Mutex<Host>,
}

/// What the host knows of it.
#[derive(Debug, Default)]
struct Host {
    /// Once it is there, and until it has ended.
    child: Option<Arc<Child>>,
    /// 0 before it is there; kept afterwards.
    pid: u32,
}

impl LinuxProcess {
    /// One that does not run yet. An empty `exec_id` is the container's init process.
    pub(super) fn new(container: &str, exec_id: &str, paths: Paths) -> Self {
        Self {
            task: Process::new(container, exec_id, paths),
            gate: tokio::sync::Mutex::default(),
            host: Mutex::default(),
        }
    }

    /// It is there.
    pub(super) fn appeared(&self, child: &Arc<Child>) {
        let mut host = self.host();
        host.pid = child.pid;
        host.child = Some(Arc::clone(child));
    }

    /// Its process id on the host; 0 before it is there.
    pub(super) fn pid(&self) -> u32 {
        self.host().pid
    }

    /// What the Task API shows of it.
    pub(super) fn view(&self) -> View {
        View { pid: self.pid(), state: self.task.life.state(), paths: self.task.paths.clone() }
    }

    /// Whether it is there and has not ended.
    pub(super) fn is_alive(&self) -> bool {
        self.host().child.is_some()
    }

    /// Sends a signal.
    pub(super) fn signal(&self, number: u32) -> Result<()> {
        let child = self.host().child.clone().ok_or_else(|| self.task.life.finished())?;
        match child.signal(number) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.task.life.finished()),
            Err(source) => {
                Err(Error::Signal { number, subject: self.task.life.subject().to_string(), source })
            }
        }
    }

    /// Waits until the host's process has ended.
    pub(super) async fn ended(&self, child: &Child) -> Exit {
        child.wait().await.map_or_else(
            |error| {
                log::error!(
                    container = self.task.life.subject().container();
                    "{}: waiting for process {} failed: {error}", self.task.id, child.pid
                );
                Exit::unknown()
            },
            Exit::from,
        )
    }

    /// Makes the end known, once all its output is with those who take it.
    pub(super) async fn finish(&self, context: &Context, exit: Exit) {
        self.task.output_written().await;
        let _gate = self.gate.lock().await;
        let pid = {
            let mut host = self.host();
            host.child = None;
            host.pid
        };
        self.task.release();
        let subject = self.task.life.subject();
        log::info!(container = subject.container(); "{subject} ended with status {}", exit.status);
        self.task.life.finish(&*context.events, pid, exit);
    }

    fn host(&self) -> MutexGuard<'_, Host> {
        lock(&self.host)
    }
}
