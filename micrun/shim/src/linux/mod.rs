//! Linux containers: run by crun or another program with runc's command line, which starts them and leaves them to
//! the shim.
//!
//! The container's own process exists from Create on (it waits for Start), any other from its Start on. Each is
//! supervised from its first moment: [`Linux::supervise`] carries its streams, waits for its end and makes it known.

mod checkpoint;
mod clean;
mod create;
mod engine;
mod exec;
mod oom;
mod process;
mod runtime;
mod streams;
mod terminal;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use nix::libc::SIGKILL;
use nix::unistd::{Gid, Uid};
use tokio::sync::watch;

use crate::cgroup::Cgroup;
use crate::error::{Result, describe};
use crate::os::children::Child;
use crate::stdio::Streams;
use crate::task::context::Context;
pub(crate) use clean::clean;
pub(crate) use create::create;
use exec::Execs;
use process::Process;
use runtime::Runtime;
use streams::{Carriage, Ends};
use terminal::ConsoleSocket;

/// A Linux container.
#[derive(Debug)]
pub(crate) struct Linux {
    id: String,
    bundle: PathBuf,
    rootfs: PathBuf,
    /// Where console sockets are made.
    sockets: PathBuf,
    sandbox: bool,
    /// Whether its processes end with its own one, because it is the first of a PID namespace.
    private_pids: bool,
    /// Who its pipes belong to.
    owner: (Uid, Gid),
    runtime: Runtime,
    /// What the runtime is told beside when it makes the container.
    flags: Vec<&'static str>,
    /// The checkpoint that it goes on from.
    restored_from: Option<PathBuf>,
    /// The streams of one that Start will restore.
    waiting: Mutex<Option<Streams>>,
    /// Known once its process is there.
    cgroup: OnceLock<Cgroup>,
    init: Arc<Process>,
    execs: Execs,
}

/// A process's streams, before it is there.
#[derive(Debug)]
struct Plumbing {
    /// What the runtime hands on.
    ends: Ends,
    /// Where the runtime sends the terminal, if there is to be one.
    console: Option<ConsoleSocket>,
    carriage: Option<Carriage>,
    streams: Streams,
}

impl Linux {
    /// Prepares the streams of a process, and keeps of them what it needs until its end.
    fn plumb(&self, process: &Process, mut streams: Streams) -> Result<Plumbing> {
        {
            let mut inner = process.lock();
            inner.keep_stdin = streams.keep_stdin.take();
            inner.takers = std::mem::take(&mut streams.takers);
        }
        if process.paths.terminal {
            let console = Some(ConsoleSocket::listen(&self.sockets)?);
            return Ok(Plumbing { ends: Ends::default(), console, carriage: None, streams });
        }
        let (ends, carriage) = streams::pipes(streams, &process.paths, self.owner)
            .map_err(crate::error::Error::io("make", "the container's pipes"))?;
        Ok(Plumbing { ends, console: None, carriage: Some(carriage), streams: Streams::default() })
    }

    /// Takes over a process that the runtime has made, from its first moment to its last.
    async fn attach(
        self: &Arc<Self>,
        context: &Arc<Context>,
        process: &Arc<Process>,
        child: Child,
        plumbing: (Option<ConsoleSocket>, Option<Carriage>, Streams),
    ) {
        let (console, mut carriage, streams) = plumbing;
        let child = Arc::new(child);
        {
            let mut inner = process.lock();
            inner.pid = child.pid;
            inner.child = Some(Arc::clone(&child));
        }
        if let Some(console) = console {
            match console.receive().await {
                Ok(tty) => {
                    let tty = Arc::new(tty);
                    process.lock().terminal.opened(&process.id, Arc::clone(&tty));
                    let Streams { stdin, stdout, .. } = streams;
                    carriage = Some(Carriage::Terminal { tty, stdin, stdout });
                }
                Err(error) => log::error!("{} has no terminal: {}", process.id, describe(&error)),
            }
        }
        let (this, context, process) = (Arc::clone(self), Arc::clone(context), Arc::clone(process));
        tokio::spawn(async move { this.supervise(&context, &process, &child, carriage).await });
    }

    async fn supervise(
        &self,
        context: &Context,
        process: &Arc<Process>,
        child: &Child,
        carriage: Option<Carriage>,
    ) {
        let (end, ended) = watch::channel(false);
        let carrying = carriage.map(|carriage| tokio::spawn(carriage.run(process.id.clone(), ended)));
        let exit = process.ended(child).await;
        if Arc::ptr_eq(process, &self.init) {
            self.end_others().await;
        }
        end.send_replace(true);
        if let Some(carrying) = carrying
            && let Err(error) = carrying.await
        {
            log::error!("the streams of {} died: {error}", process.id);
        }
        process.finish(context, &self.id, exit).await;
    }

    /// After the container's own process has ended: the others end as well, and their ends are known first
    /// (containerd#10651).
    async fn end_others(&self) {
        let execs = self.execs.close();
        // Nobody else ends what has no PID namespace of its own.
        if !self.private_pids
            && let Err(error) = self.runtime.kill(SIGKILL.unsigned_abs(), true).await
        {
            log::debug!("{}", describe(&error));
        }
        for exec in execs {
            // One that is being started is waited for, too.
            drop(exec.gate.lock().await);
            if exec.is_alive() {
                exec.wait().await;
            }
        }
    }
}
