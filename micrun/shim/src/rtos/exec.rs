//! Exec: a command line for the firmware's shell. It has no process of its own; the Task API sees one all the same.

use std::sync::{Arc, Mutex};

use containerd_shim_protos::api::ExecProcessRequest;
use serde::Deserialize;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::container::{Container, stops};
use super::exec_output::Output;
use super::shell::{self, Reader, Shell};
use crate::error::{EXEC_NO_PROMPT, EXEC_NO_TERMINAL, Error, Result};
use crate::os::lock::lock;
use crate::stdio::{self, Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::exit::Exit;
use crate::task::process::Process;
use crate::task::state::{Attempt, State};

/// Longest command line in bytes.
const MAX_COMMAND: usize = 1024;

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
    command: String,
    /// Open streams, until it runs.
    streams: Mutex<Option<Streams>>,
    /// The end that a signal has asked for.
    killed: watch::Sender<Option<Exit>>,
}

/// Takes a command; it is sent by Start.
pub(crate) async fn add(
    context: &Context,
    container: &Container,
    request: &ExecProcessRequest,
) -> Result<()> {
    if container.plan.prompt.is_none() {
        return Err(Error::Unimplemented(EXEC_NO_PROMPT));
    }
    container.init.life.check(Attempt::Command)?;
    let command = command(&request.spec.value)?;
    if shell::device(&context.mica.status(&container.id).await?).is_none() {
        return Err(Error::Unimplemented(EXEC_NO_TERMINAL));
    }
    let paths = Paths::from(request);
    let identity = Identity { namespace: &context.namespace, id: &container.id };
    let streams = Streams::open(&paths, identity).await?;
    container.execs.add(&container.id, &request.exec_id, || Exec {
        process: Process::new(&container.id, &request.exec_id, paths),
        command,
        streams: Mutex::new(Some(streams)),
        killed: watch::Sender::new(None),
    })?;
    context.events.publish(Event::exec_added(&container.id, &request.exec_id));
    Ok(())
}

/// The arguments as one line.
fn command(spec: &[u8]) -> Result<String> {
    let process: Specification = serde_json::from_slice(spec)
        .map_err(|error| Error::Invalid(format!("the exec's process cannot be read: {error}")))?;
    let line = process.args.join(" ");
    if line.trim().is_empty() || line.len() > MAX_COMMAND || line.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "exec needs a command of one line, at most {MAX_COMMAND} bytes, without control characters"
        )));
    }
    Ok(line)
}

impl Container {
    /// Ends all commands, because the RTOS has ended; returns when their ends are known.
    pub(super) async fn end_execs(&self, context: &Context) {
        for exec in self.execs.close() {
            let waits = exec.process.life.state() != State::Created;
            exec.signal(context, self, Exit::killed());
            if waits {
                exec.process.wait().await;
            }
        }
    }
}

impl Exec {
    /// Has the command sent as soon as the shell is free.
    pub(crate) async fn start(
        self: &Arc<Self>,
        context: &Arc<Context>,
        container: &Arc<Container>,
    ) -> Result<u32> {
        container.init.life.check(Attempt::Command)?;
        if container.execs.is_closed() {
            return Err(container.init.life.finished());
        }
        let pid = self.process.life.start(&*context.events, async { Ok(container.pid) }).await?;
        let streams = lock(&self.streams).take().unwrap_or_default();
        let (exec, context, container) = (Arc::clone(self), Arc::clone(context), Arc::clone(container));
        tokio::spawn(async move { exec.run(&context, &container, streams).await });
        Ok(pid)
    }

    /// TERM, KILL and INT end it; any other signal has no meaning.
    pub(crate) fn kill(&self, context: &Context, container: &Container, signal: u32) -> Result<()> {
        if self.process.life.state().is_over() {
            return Err(self.process.life.finished());
        }
        if stops(signal) {
            self.signal(context, container, Exit::signalled(signal));
        }
        Ok(())
    }

    fn signal(&self, context: &Context, container: &Container, exit: Exit) {
        if self.process.life.state() == State::Created {
            self.finish(context, container, exit);
        } else {
            self.killed.send_replace(Some(exit));
        }
    }

    /// Forgets it; one that never ran is ended first.
    pub(crate) fn delete(&self, context: &Context, container: &Container) -> Result<Exit> {
        if self.process.life.abandon() {
            self.finish(context, container, Exit::killed());
        }
        let exit = self.process.life.delete()?;
        container.execs.remove(&self.process.id);
        Ok(exit)
    }

    async fn run(&self, context: &Context, container: &Container, streams: Streams) {
        let mut killed = self.killed.subscribe();
        let Streams { stdin, stdout, stderr, mut loggers, .. } = streams;
        // The line is all that the shell gets.
        drop(stdin);
        let mut slot = tokio::select! {
            slot = container.shell.lock() => slot,
            exit = signalled(&mut killed) => return self.finish(context, container, exit),
        };
        let prompt = container.plan.prompt.as_deref().unwrap_or_default();
        let mut reader = Reader::new(prompt, Some(&self.command));
        let ended =
            self.exchange(context, container, &mut slot, &mut reader, &mut killed, stdout.as_ref()).await;
        drop((stdout, stderr));
        loggers.written().await;
        loggers.finish().await;
        let (exit, killed) = match ended {
            Outcome::Answered => (Exit::now(reader.status), false),
            Outcome::Failed(reason) => {
                log::warn!("{}: exec {}: {reason}", container.id, self.process.id);
                *slot = None;
                (Exit::not_started(), false)
            }
            Outcome::Killed(exit) => (exit, true),
        };
        self.finish(context, container, exit);
        // The shell may still be busy with a killed command: it is free when it shows its prompt.
        if killed
            && let Some(shell) = slot.as_mut()
            && !settle(shell, &mut reader, container).await
        {
            *slot = None;
        }
    }

    /// Sends the command and relays what the shell answers, through a pipe and under the same rules as the console.
    async fn exchange(
        &self,
        context: &Context,
        container: &Container,
        slot: &mut Option<Shell>,
        reader: &mut Reader,
        killed: &mut watch::Receiver<Option<Exit>>,
        stdout: Option<&pipe::Sender>,
    ) -> Outcome {
        let (writer, source) = match pipe::pipe() {
            Ok((writer, source)) => (Some(writer), Some(source)),
            Err(error) => {
                log::error!("{}: no pipe for the output of {}: {error}", container.id, self.process.id);
                (None, None)
            }
        };
        let name = format!("{}, exec {}", container.id, self.process.id);
        // Never told: the pipe's end is the end.
        let (_end, ended) = watch::channel(false);
        let relayed = async {
            if let Some(source) = source {
                stdio::relay(&name, &source, stdout, ended).await;
            }
        };
        let work = async {
            let mut output = Output::new(writer, !self.process.paths.terminal);
            let work = self.work(context, container, slot, reader, &mut output);
            let outcome = tokio::select! {
                result = work => result.map_or_else(Outcome::Failed, |()| Outcome::Answered),
                exit = signalled(killed) => Outcome::Killed(exit),
            };
            if let Outcome::Failed(reason) = &outcome {
                // Whoever waits for output sees why there is none.
                output.put(format!("micrun: {reason}\r\n").as_bytes()).await;
            }
            outcome
        };
        tokio::join!(work, relayed).0
    }

    /// Gives the shell the command and hands its output on.
    async fn work(
        &self,
        context: &Context,
        container: &Container,
        slot: &mut Option<Shell>,
        reader: &mut Reader,
        output: &mut Output,
    ) -> Result<(), String> {
        let shell = ready(context, container, slot).await?;
        shell.run(&self.command).await?;
        let mut piece = Vec::new();
        loop {
            let done = shell.read_some(reader, &mut piece).await?;
            output.put(&piece).await;
            piece.clear();
            if done {
                return Ok(());
            }
        }
    }

    /// Makes the end known, once.
    fn finish(&self, context: &Context, container: &Container, exit: Exit) {
        *lock(&self.streams) = None;
        self.process.life.finish(&*context.events, container.pid, exit);
    }
}

/// What became of a command.
enum Outcome {
    /// The shell has answered and shows its prompt again.
    Answered,
    /// The shell could not be used, for this reason.
    Failed(String),
    /// It was killed meanwhile.
    Killed(Exit),
}

async fn signalled(killed: &mut watch::Receiver<Option<Exit>>) -> Exit {
    let sent = killed.wait_for(Option::is_some).await.ok().and_then(|sent| sent.clone());
    match sent {
        Some(exit) => exit,
        None => std::future::pending().await,
    }
}

/// The container's shell, opened if this is the first command.
async fn ready<'a>(
    context: &Context,
    container: &Container,
    slot: &'a mut Option<Shell>,
) -> Result<&'a mut Shell, String> {
    if slot.is_none() {
        let status = context.mica.status(&container.id).await.map_err(|error| error.to_string())?;
        let device = shell::device(&status).ok_or_else(|| EXEC_NO_TERMINAL.to_owned())?;
        *slot = Some(Shell::open(&device, container.plan.prompt.as_deref().unwrap_or_default()).await?);
    }
    slot.as_mut().ok_or_else(|| EXEC_NO_TERMINAL.to_owned())
}

/// Waits until a killed command's shell is free again, or its container has ended.
async fn settle(shell: &mut Shell, reader: &mut Reader, container: &Container) -> bool {
    let mut nothing = Vec::new();
    let free = async {
        shell.interrupt().await?;
        while !shell.read_some(reader, &mut nothing).await? {
            nothing.clear();
        }
        Ok::<_, String>(())
    };
    tokio::select! {
        free = free => free.is_ok(),
        _ = container.init.wait() => false,
    }
}
