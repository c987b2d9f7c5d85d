//! A program that takes the output: `binary://`, `binary-v2://`.
//!
//! It gets stdout as descriptor 3, stderr as 4, and says on 5 that it is ready: by closing it, or for
//! `binary-v2` by a byte. Its environment is the container's id and namespace, and the trace that it
//! belongs to if that one is kept; nothing else (containerd, `core/runtime/v2/logging` and
//! `cmd/containerd-shim-runc-v2/process/io.go`).

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use micrun_trace::Current;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Identity;
use super::uri::Program;
use crate::error::{Error, Result};
use crate::os::children::{self, Owned};

/// How long it may take to be ready; containerd's own shim waits for ever.
const READY: Duration = Duration::from_secs(10);
/// How long it may take to end once its input has, and again once it was told to.
const END: Duration = Duration::from_secs(5);

/// A running program.
#[derive(Debug)]
pub(super) struct Logger {
    child: Child,
    _owned: Owned,
    name: String,
}

/// Starts a program and waits until it is ready. Gives the writing ends of what it takes for stdout and stderr.
pub(super) async fn start(program: &Program, identity: Identity<'_>) -> Result<(Logger, Sender, Sender)> {
    let name = program.path.display().to_string();
    let fail = |reason: String| Error::Logger { program: name.clone(), reason };
    let setup = || -> io::Result<_> {
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        let (ready, ready_writer) = io::pipe()?;
        let inherited = [OwnedFd::from(stdout), stderr.into(), ready_writer.into()];
        let mut command = Command::new(&program.path);
        command
            .args(&program.args)
            .env_clear()
            .env("CONTAINER_ID", identity.id)
            .env("CONTAINER_NAMESPACE", identity.namespace)
            .envs(Current::here().variables())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        let mappings = inherited.into_iter().zip(3..);
        let mappings = mappings.map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd }).collect();
        command.fd_mappings(mappings).map_err(io::Error::other)?;
        let child = command.spawn()?;
        let ready = Receiver::from_owned_fd(ready.into())?;
        let writers = [stdout_writer, stderr_writer].map(|writer| Sender::from_owned_fd(writer.into()));
        let [stdout, stderr] = writers;
        Ok((child, ready, stdout?, stderr?))
    };
    // Until it is owned, nobody may take it for an orphan.
    let hold = children::hold();
    let (child, mut ready, stdout, stderr) =
        setup().map_err(|error| fail(format!("cannot be started: {error}")))?;
    let owned = children::own(child.id().unwrap_or_default());
    drop(hold);
    let mut logger = Logger { child, _owned: owned, name: name.clone() };
    match timeout(READY, ready.read(&mut [0])).await {
        Err(_) => Err(fail(format!("was not ready after {READY:?}: it must close descriptor 5"))),
        Ok(Err(error)) => Err(fail(format!("cannot be waited for: {error}"))),
        Ok(Ok(0)) if program.announces => {
            let end = match timeout(END, logger.child.wait()).await {
                Ok(Ok(status)) => status.to_string(),
                _ => "it still runs".into(),
            };
            Err(fail(format!("closed descriptor 5 without the byte that says it is ready ({end})")))
        }
        Ok(Ok(_)) => Ok((logger, stdout, stderr)),
    }
}

impl Logger {
    /// Waits for its end, its input having ended; helps along when it takes long.
    pub(super) async fn finish(mut self) {
        if self.ended().await {
            return;
        }
        log::warn!("the logging program {} keeps running after its input has ended; stopping it", self.name);
        self.signal(Signal::SIGTERM);
        if self.ended().await {
            return;
        }
        log::error!("the logging program {} ignores SIGTERM; killing it", self.name);
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    async fn ended(&mut self) -> bool {
        match timeout(END, self.child.wait()).await {
            Err(_) => return false,
            Ok(Ok(status)) if !status.success() => {
                log::warn!("the logging program {} ended with {status}", self.name);
            }
            Ok(Ok(_)) => {}
            Ok(Err(error)) => log::warn!("the logging program {} cannot be waited for: {error}", self.name),
        }
        true
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()) {
            // It may have ended by now, which is what is wanted.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }
}
