//! Exec: a command line for the firmware's shell. It has no process of its own; the Task API sees one all the same.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use containerd_shim_protos::api::ExecProcessRequest;
use nix::libc::{SIGINT, SIGKILL, SIGTERM};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::watch;

use crate::error::{EXEC_NO_PROMPT, EXEC_NO_TERMINAL, Error, Result};
use crate::rtos::container::Container;
use crate::rtos::end as exit;
use crate::rtos::shell::{self, Reader, Shell};
use crate::stdio::{self, Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::{Exit, State};

/// Longest command line in bytes.
const MAX_COMMAND: usize = 1024;
/// Status of a command that could not be given to the shell (sh(1): found and not executable).
const NOT_RUN: u32 = 126;

/// What the specification of a process says that has a meaning here (OCI runtime-spec, `process`).
#[derive(Debug, Deserialize)]
struct Process {
    #[serde(default)]
    args: Vec<String>,
}

/// A command for the shell.
#[derive(Debug)]
pub(crate) struct Exec {
    /// containerd's id of it.
    pub id: String,
    /// Its streams, as Exec named them.
    pub paths: Paths,
    command: String,
    inner: Mutex<Inner>,
    exited: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    streams: Option<Streams>,
    signal: watch::Sender<Option<u32>>,
}

/// The commands of a container, by id.
#[derive(Debug, Default)]
pub(crate) struct Execs(Mutex<BTreeMap<String, Arc<Exec>>>);

impl Execs {
    /// A command that was added.
    pub(crate) fn find(&self, container: &str, id: &str) -> Result<Arc<Exec>> {
        self.lock()
            .get(id)
            .cloned()
            .ok_or_else(|| Error::NoSuchExec { id: container.to_owned(), exec_id: id.to_owned() })
    }

    /// Forgets a command.
    pub(crate) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Ends all, because the container has ended; returns when their ends are known.
    pub(crate) async fn end_all(&self, context: &Context, container: &Container) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        for exec in all {
            exec.signal(context, container, SIGKILL.unsigned_abs());
            if exec.state() != State::Created {
                exec.wait().await;
            }
        }
    }

    fn add(&self, container: &str, exec: Arc<Exec>) -> Result<()> {
        match self.lock().entry(exec.id.clone()) {
            std::collections::btree_map::Entry::Occupied(_) => {
                Err(Error::AlreadyExists(format!("{}` of container `{container}", exec.id)))
            }
            std::collections::btree_map::Entry::Vacant(entry) => {
                entry.insert(exec);
                Ok(())
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Exec>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    container.state().check_executable(&container.id)?;
    let command = command(&request.spec.value)?;
    if shell::device(&context.mica.status(&container.id).await?).is_none() {
        return Err(Error::Unimplemented(EXEC_NO_TERMINAL));
    }
    let paths = Paths::from(request);
    let identity = Identity { namespace: &context.namespace, id: &container.id };
    let streams = Some(Streams::open(&paths, identity).await?);
    let inner = Inner { state: State::Created, streams, signal: watch::Sender::new(None) };
    let id = request.exec_id.clone();
    let exec = Exec { id, paths, command, inner: Mutex::new(inner), exited: watch::Sender::new(None) };
    container.execs.add(&container.id, Arc::new(exec))?;
    context.events.publish(Event::exec_added(&container.id, &request.exec_id));
    Ok(())
}

/// The arguments as one line.
fn command(spec: &[u8]) -> Result<String> {
    let process: Process = serde_json::from_slice(spec)
        .map_err(|error| Error::Invalid(format!("the exec's process cannot be read: {error}")))?;
    let line = process.args.join(" ");
    if line.trim().is_empty() || line.len() > MAX_COMMAND || line.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "exec needs a command of one line, at most {MAX_COMMAND} bytes, without control characters"
        )));
    }
    Ok(line)
}

impl Exec {
    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Has the command sent as soon as the shell is free.
    pub(crate) fn start(self: &Arc<Self>, context: &Arc<Context>, container: &Arc<Container>) -> Result<()> {
        container.state().check_executable(&container.id)?;
        let streams = {
            let mut inner = self.lock();
            inner.state.starting(&self.id)?;
            inner.state.started(true);
            inner.streams.take().unwrap_or_default()
        };
        context.events.publish(Event::exec_started(&container.id, &self.id, container.pid));
        let (exec, context, container) = (Arc::clone(self), Arc::clone(context), Arc::clone(container));
        tokio::spawn(async move { exec.run(&context, &container, streams).await });
        Ok(())
    }

    /// TERM, KILL and INT end it; any other signal has no meaning.
    pub(crate) fn kill(&self, context: &Context, container: &Container, signal: u32) -> Result<()> {
        if self.state().exit().is_some() {
            return Err(Error::Finished(self.id.clone()));
        }
        if [SIGTERM, SIGKILL, SIGINT].iter().any(|s| s.unsigned_abs() == signal) {
            self.signal(context, container, signal);
        }
        Ok(())
    }

    fn signal(&self, context: &Context, container: &Container, signal: u32) {
        if self.state() == State::Created {
            self.finish(context, container, exit::signalled(signal));
        } else {
            self.lock().signal.send_replace(Some(signal));
        }
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Exit {
        exit::known(&self.exited).await
    }

    /// Forgets it; one that never ran is ended first.
    pub(crate) fn delete(&self, context: &Context, container: &Container) -> Result<Exit> {
        if self.state() == State::Created {
            self.finish(context, container, exit::signalled(SIGKILL.unsigned_abs()));
        }
        let mut inner = self.lock();
        inner.state.deleting(&self.id)?;
        container.execs.remove(&self.id);
        Ok(inner.state.exit().cloned().unwrap_or_else(|| exit::signalled(SIGKILL.unsigned_abs())))
    }

    async fn run(&self, context: &Context, container: &Container, streams: Streams) {
        let mut signal = self.lock().signal.subscribe();
        let Streams { stdin, stdout, stderr, mut takers, .. } = streams;
        // The line is all that the shell gets.
        drop(stdin);
        let mut slot = tokio::select! {
            slot = container.shell.lock() => slot,
            killed = signalled(&mut signal) => {
                return self.finish(context, container, exit::signalled(killed));
            }
        };
        let mut reader =
            Reader::new(container.plan.prompt.as_deref().unwrap_or_default(), Some(&self.command));
        let result = {
            // What is output goes through a pipe to those who take it, under the same rules as the console's.
            let (output, source) = match pipe::pipe() {
                Ok((output, source)) => (Some(output), Some(source)),
                Err(error) => {
                    log::error!("{}: no pipe for the output of {}: {error}", container.id, self.id);
                    (None, None)
                }
            };
            let name = format!("{}, exec {}", container.id, self.id);
            // Never told: the pipe's end is the end.
            let (_end, ended) = watch::channel(false);
            let carried = async {
                if let Some(source) = source {
                    stdio::carry(&name, &source, stdout.as_ref(), ended).await;
                }
            };
            let work = async {
                let mut output = Sink::new(output, !self.paths.terminal);
                let work = self.work(context, container, &mut slot, &mut reader, &mut output);
                let result = tokio::select! {
                    result = work => Ok(result),
                    killed = signalled(&mut signal) => Err(killed),
                };
                if let Ok(Err(reason)) = &result {
                    // Whoever waits for output sees why there is none.
                    output.put(format!("micrun: {reason}\r\n").as_bytes()).await;
                }
                result
            };
            tokio::join!(work, carried).0
        };
        drop((stdout, stderr));
        takers.written().await;
        takers.finish().await;
        let killed = result.is_err();
        let exit = match result {
            Ok(Ok(())) => Exit { status: reader.status, at: SystemTime::now() },
            Ok(Err(reason)) => {
                log::warn!("{}: exec {}: {reason}", container.id, self.id);
                *slot = None;
                Exit { status: NOT_RUN, at: SystemTime::now() }
            }
            Err(killed) => exit::signalled(killed),
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

    /// Gives the shell the command and hands its output on.
    async fn work(
        &self,
        context: &Context,
        container: &Container,
        slot: &mut Option<Shell>,
        reader: &mut Reader,
        output: &mut Sink,
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
        {
            let mut inner = self.lock();
            inner.streams = None;
            if !inner.state.stopped(exit.clone()) {
                return;
            }
        }
        context.events.publish(Event::exit(&container.id, &self.id, container.pid, &exit));
        self.exited.send_replace(Some(exit));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pipe to those who take the output.
struct Sink {
    pipe: Option<pipe::Sender>,
    /// Whether they want lines as files have them.
    plain: bool,
    after_return: bool,
}

impl Sink {
    fn new(pipe: Option<pipe::Sender>, plain: bool) -> Self {
        Self { pipe, plain, after_return: false }
    }

    async fn put(&mut self, bytes: &[u8]) {
        let Some(pipe) = &mut self.pipe else { return };
        let plain = self.plain.then(|| shell::without_returns(bytes, &mut self.after_return));
        if let Err(error) = pipe.write_all(plain.as_deref().unwrap_or(bytes)).await {
            log::warn!("the output of an exec is lost: {error}");
            self.pipe = None;
        }
    }
}

async fn signalled(signal: &mut watch::Receiver<Option<u32>>) -> u32 {
    let sent = signal.wait_for(Option::is_some).await.ok().and_then(|sent| *sent);
    match sent {
        Some(signal) => signal,
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
    let mut ended = container.ended();
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
        _ = ended.wait_for(Option::is_some) => false,
    }
}
