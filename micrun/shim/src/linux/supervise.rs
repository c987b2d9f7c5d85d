//! A process's streams and its end, from before it is there until its end is known.

use std::sync::Arc;

use nix::libc::SIGKILL;
use tokio::sync::watch;

use super::Linux;
use super::process::LinuxProcess;
use super::streams::{self, Ends, Relay};
use super::terminal::ConsoleSocket;
use crate::error::{Error, Result, describe};
use crate::os::children::Child;
use crate::os::lock::lock;
use crate::stdio::Streams;
use crate::task::context::Context;

/// A process's streams, before it is there.
#[derive(Debug, Default)]
pub(super) struct Connection {
    /// What the runtime hands on.
    pub ends: Ends,
    /// Where the runtime sends the terminal, if there is to be one.
    pub console: Option<ConsoleSocket>,
    relay: Option<Relay>,
    /// What the terminal will be relayed to.
    streams: Streams,
}

impl Linux {
    /// Prepares the streams of a process, and keeps of them what it needs until its end.
    pub(super) fn connect(&self, process: &LinuxProcess, mut streams: Streams) -> Result<Connection> {
        process.task.keep(&mut streams);
        if process.task.paths.terminal {
            let console = Some(ConsoleSocket::listen(&self.sockets)?);
            return Ok(Connection { console, streams, ..Connection::default() });
        }
        let (ends, relay) = streams::pipes(streams, &process.task.paths, self.owner)
            .map_err(Error::io("make", "the container's pipes"))?;
        Ok(Connection { ends, relay: Some(relay), ..Connection::default() })
    }

    /// Takes over a process that the runtime has made, from its first moment to its last.
    pub(super) async fn attach(
        self: &Arc<Self>,
        context: &Arc<Context>,
        process: &Arc<LinuxProcess>,
        child: Child,
        connection: Connection,
    ) {
        let Connection { console, mut relay, streams, .. } = connection;
        let child = Arc::new(child);
        process.appeared(&child);
        if let Some(console) = console {
            match console.receive().await {
                Ok(tty) => {
                    let tty = Arc::new(tty);
                    process.task.terminal_opened(Arc::clone(&tty));
                    let Streams { stdin, stdout, .. } = streams;
                    relay = Some(Relay::Terminal { tty, stdin, stdout });
                }
                Err(error) => log::error!(
                    container = process.task.life.subject().container();
                    "{} has no terminal: {}", process.task.id, describe(&error)
                ),
            }
        }
        let (this, context, process) = (Arc::clone(self), Arc::clone(context), Arc::clone(process));
        tokio::spawn(async move { this.supervise(&context, &process, &child, relay).await });
    }

    async fn supervise(
        &self,
        context: &Context,
        process: &Arc<LinuxProcess>,
        child: &Child,
        relay: Option<Relay>,
    ) {
        let (end, ended) = watch::channel(false);
        let relaying = relay.map(|relay| tokio::spawn(relay.run(process.task.id.clone(), ended)));
        let exit = process.ended(child).await;
        if Arc::ptr_eq(process, &self.init) {
            let watch = lock(&self.oom).take();
            if let Some(watch) = watch {
                watch.end(context, &self.id).await;
            }
            self.end_execs().await;
        }
        end.send_replace(true);
        if let Some(relaying) = relaying
            && let Err(error) = relaying.await
        {
            log::error!(container = process.task.life.subject().container(); "the streams of {} died: {error}", process.task.id);
        }
        process.finish(context, exit).await;
    }

    /// After the init process has ended: the others end as well, and their ends are known first
    /// (containerd#10651).
    async fn end_execs(&self) {
        let execs = self.execs.close();
        // Nobody else ends what has no PID namespace of its own.
        if !self.private_pids
            && let Err(error) = self.runtime.kill_all(SIGKILL.unsigned_abs()).await
        {
            log::debug!("{}", describe(&error));
        }
        for exec in execs {
            // One that is being started is waited for, too.
            drop(exec.process.gate.lock().await);
            if exec.process.is_alive() {
                exec.process.task.wait().await;
            }
        }
    }
}
