//! Commands for an RTOS's shell: one after the other, each from Exec to its end.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use containerd_shim_protos::api::ExecProcessRequest;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use super::container::Container;
use super::exec::{self, Exec, Killed};
use super::exec_output::Output;
use super::shell::{self, PROMPT_BOUND, Shell};
use super::shell_reader::Reader;
use super::terminal::Terminal;
use crate::error::{EXEC_NO_PROMPT, Error, Result};
use crate::stdio::{self, Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::exit::Exit;
use crate::task::state::{Attempt, State};

/// How often, and after which pause, it is asked whether the console is still in use. A process that is being started has
/// copies of all the shim's descriptors for a moment.
const LOOKS: (u32, Duration) = (10, Duration::from_millis(20));
/// How long a second terminal that has never said anything may take to show a prompt.
const MUTE_BOUND: Duration = Duration::from_secs(2);

impl Container {
    /// Takes a command; it is sent by Start.
    pub(super) async fn add_exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()> {
        if self.plan.prompt.is_none() {
            return Err(Error::Unimplemented(EXEC_NO_PROMPT));
        }
        self.init.life.check(Attempt::Command)?;
        let command = exec::command(&request.spec.value)?;
        if self.second_terminal(context).await?.is_none() && self.console_is_in_use().await {
            return Err(Error::ConsoleInUse(self.id.clone()));
        }
        let paths = Paths::from(request);
        let streams = Streams::open(&paths, Identity { namespace: &context.namespace, id: &self.id }).await?;
        self.execs.add(&self.id, &request.exec_id, || {
            Exec::new((&self.id, &request.exec_id), self.pid, paths, command, streams)
        })?;
        context.events.publish(Event::exec_added(&self.id, &request.exec_id));
        Ok(())
    }

    /// The device of the second terminal, unless it is known to have no shell.
    async fn second_terminal(&self, context: &Context) -> Result<Option<PathBuf>, libmica::Error> {
        let device = shell::device(&context.mica.status(&self.id).await?);
        Ok(device.filter(|_| !self.second_is_mute.load(Ordering::Relaxed)))
    }

    /// Whether a client can type on the console.
    async fn console_is_in_use(&self) -> bool {
        for _ in 0..LOOKS.0 {
            if !self.init.stdin_is_in_use() {
                return false;
            }
            tokio::time::sleep(LOOKS.1).await;
        }
        true
    }

    /// Has a command sent as soon as the shell is free.
    pub(super) async fn start_exec(self: &Arc<Self>, context: &Arc<Context>, exec: Arc<Exec>) -> Result<u32> {
        self.init.life.check(Attempt::Command)?;
        if self.execs.is_closed() {
            return Err(self.init.life.finished());
        }
        let pid = exec.process.life.start(&*context.events, async { Ok(self.pid) }).await?;
        let (this, context) = (Arc::clone(self), Arc::clone(context));
        tokio::spawn(async move { this.run_exec(&context, &exec).await });
        Ok(pid)
    }

    /// Ends all commands, because the RTOS has ended; returns when their ends are known.
    pub(super) async fn end_execs(&self, context: &Context) {
        for exec in self.execs.close() {
            let waits = exec.process.life.state() != State::Created;
            exec.end(&*context.events, Exit::killed());
            if waits {
                exec.process.wait().await;
            }
        }
    }

    async fn run_exec(&self, context: &Context, exec: &Exec) {
        let mut killed = exec.killed();
        let Streams { stdin, stdout, stderr, mut loggers, .. } = exec.take_streams();
        // The line is all that the shell gets.
        drop(stdin);
        let mut slot = tokio::select! {
            slot = self.shell.lock() => slot,
            exit = killed.wait() => return exec.finish(&*context.events, exit),
        };
        let prompt = self.plan.prompt.as_deref().unwrap_or_default();
        let mut reader = Reader::new(prompt, Some(&exec.command));
        let ended =
            self.exchange(context, exec, (&mut slot, &mut reader), &mut killed, stdout.as_ref()).await;
        drop((stdout, stderr));
        loggers.written().await;
        loggers.finish().await;
        let (exit, killed) = match ended {
            Outcome::Answered => (Exit::now(reader.status), false),
            Outcome::Failed(reason) => {
                log::warn!(container = self.id; "{}: exec {}: {reason}", self.id, exec.process.id);
                (Exit::not_started(), false)
            }
            Outcome::Killed(exit) => (exit, true),
        };
        exec.finish(&*context.events, exit);
        // The shell may still be busy with a killed command: it is free when it shows its prompt.
        if killed
            && let Some(shell) = slot.as_mut()
            && (!settle(shell, &mut reader, self).await || shell.is_borrowed())
        {
            *slot = None;
        }
    }

    /// Sends the command and relays what the shell answers, through a pipe and under the same rules as the console.
    async fn exchange(
        &self,
        context: &Context,
        exec: &Exec,
        (slot, reader): (&mut Option<Shell>, &mut Reader),
        killed: &mut Killed,
        stdout: Option<&pipe::Sender>,
    ) -> Outcome {
        let (writer, source) = match pipe::pipe() {
            Ok((writer, source)) => (Some(writer), Some(source)),
            Err(error) => {
                log::error!(
                    container = self.id;
                    "{}: no pipe for the output of {}: {error}", self.id, exec.process.id
                );
                (None, None)
            }
        };
        let name = format!("{}, exec {}", self.id, exec.process.id);
        // Never told: the pipe's end is the end.
        let (_end, ended) = watch::channel(false);
        let relayed = async {
            if let Some(source) = source {
                stdio::relay(&name, &source, stdout, ended).await;
            }
        };
        let work = async {
            let mut output = Output::new(writer, !exec.process.paths.terminal);
            let work = self.work(context, &exec.command, slot, reader, &mut output);
            let outcome = tokio::select! {
                result = work => result.map_or_else(Outcome::Failed, |()| Outcome::Answered),
                exit = killed.wait() => Outcome::Killed(exit),
            };
            if let Outcome::Failed(reason) = &outcome {
                *slot = None;
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
        command: &str,
        slot: &mut Option<Shell>,
        reader: &mut Reader,
        output: &mut Output,
    ) -> Result<(), String> {
        let shell = ready(context, self, slot).await?;
        shell.run(command).await?;
        let mut piece = Vec::new();
        loop {
            let done = shell.read_some(reader, &mut piece).await?;
            output.put(&piece).await;
            piece.clear();
            if done {
                if shell.is_borrowed() {
                    *slot = None;
                }
                return Ok(());
            }
        }
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

/// The container's shell, opened if there is none yet.
async fn ready<'a>(
    context: &Context,
    container: &Container,
    slot: &'a mut Option<Shell>,
) -> Result<&'a mut Shell, String> {
    let shell = match slot.take() {
        Some(shell) => shell,
        None => open(context, container).await?,
    };
    Ok(slot.insert(shell))
}

/// Opens the shell on the second terminal; if none is there, on the console, unless somebody else may type there.
async fn open(context: &Context, container: &Container) -> Result<Shell, String> {
    let prompt = container.plan.prompt.as_deref().unwrap_or_default();
    let second = container.second_terminal(context).await.map_err(|error| error.to_string())?;
    if let Some(device) = second {
        let mut terminal = Terminal::open(&device)?;
        let in_use = container.console_is_in_use().await;
        // A shell says something when it begins.
        let bound = if terminal.discard() || in_use { PROMPT_BOUND } else { MUTE_BOUND };
        match Shell::open(terminal, prompt, bound).await {
            Err(reason) if in_use => return Err(format!("{reason}, and the console is in use")),
            Err(reason) => log::info!(
                container = container.id;
                "{}: second terminal: {reason}; the console is used", container.id
            ),
            opened => return opened,
        }
        container.second_is_mute.store(true, Ordering::Relaxed);
    }
    let console = container.console().ok_or("the firmware has no console")?;
    let loan = tokio::time::timeout(PROMPT_BOUND, console.borrow()).await;
    let loan = loan.map_err(|_| "the firmware does not read what was typed before".to_owned())?;
    Shell::open(Terminal::Borrowed(loan), prompt, PROMPT_BOUND).await
}

/// Waits until a killed command's shell is free again, or its container has ended. A borrowed console does not wait long:
/// its owner may want to type.
async fn settle(shell: &mut Shell, reader: &mut Reader, container: &Container) -> bool {
    let bound = if shell.is_borrowed() { PROMPT_BOUND } else { Duration::MAX };
    let mut nothing = Vec::new();
    let free = async {
        shell.interrupt().await?;
        while !shell.read_some(reader, &mut nothing).await? {
            nothing.clear();
        }
        Ok::<_, String>(())
    };
    tokio::select! {
        free = tokio::time::timeout(bound, free) => matches!(free, Ok(Ok(()))),
        _ = container.init.wait() => false,
    }
}
