//! The standard streams of a process, as Create and Exec name them, and the copying of its input and output.
//! It may use `os`.
//!
//! Nothing here knows what the process is: an RTOS has one console for all, a Linux process a pipe for each.
//! Whatever output goes to, what is written to is a pipe that never blocks: the FIFO itself, or one with a
//! logging program or a thread for a file behind it.

mod binary;
mod fifo;
mod file;
pub(crate) mod input;
mod outlet;
pub(crate) mod presence;
mod relay;
mod search;
mod source;
mod spill;
pub(crate) mod tap;
mod uri;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

use containerd_shim_protos::api::{CreateTaskRequest, ExecProcessRequest};
use micrun_trace::Span;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::time::timeout;

use crate::error::{Error, Result};
use binary::Logger;
pub(crate) use fifo::is_in_use;
use file::Written;
#[cfg(test)]
pub(crate) use relay::SPILL;
pub(crate) use relay::{log_lost, relay};

use uri::{Program, Target};

/// How long output may wait for someone who takes it: after that nobody is there.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What Create says about the streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    /// FIFO to read, or empty.
    pub stdin: String,
    /// FIFO, file or program to write to, or empty.
    pub stdout: String,
    /// The same for standard error; without effect beside a terminal.
    pub stderr: String,
    /// The client at the other end is a terminal.
    pub terminal: bool,
}

/// Both requests that make a process name its streams alike.
macro_rules! paths_of {
    ($($request:ty),*) => {$(
        impl From<&$request> for Paths {
            fn from(request: &$request) -> Self {
                Self {
                    stdin: request.stdin.clone(),
                    stdout: request.stdout.clone(),
                    stderr: request.stderr.clone(),
                    terminal: request.terminal,
                }
            }
        }
    )*};
}
paths_of!(CreateTaskRequest, ExecProcessRequest);

/// Whose streams they are; logging programs are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'a> {
    /// containerd's namespace.
    pub namespace: &'a str,
    /// The container's id.
    pub id: &'a str,
}

/// Where output goes: a pipe.
pub(crate) type Sink = Sender;

/// The open streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// What the client types.
    pub stdin: Option<Receiver>,
    /// Keeps stdin from ending while nobody is attached; `CloseIO` drops it.
    pub keep_stdin: Option<Sender>,
    /// What the client sees.
    pub stdout: Option<Sink>,
    /// Standard error. Open until the end, so that the client sees its end when stdout ends, and not before.
    /// `None` as well if it goes to the same file as stdout.
    pub stderr: Option<Sink>,
    /// What writes the output down.
    pub loggers: Loggers,
}

/// Files and logging programs at the other end of pipes that the shim made.
#[derive(Debug, Default)]
pub(crate) struct Loggers {
    files: Vec<Written>,
    programs: Vec<Logger>,
}

impl Streams {
    /// Opens what `paths` names, and starts the logging programs. Must be called within a tokio runtime.
    pub(crate) async fn open(paths: &Paths, identity: Identity<'_>) -> Result<Self> {
        Span::internal("open streams").around(Self::open_all(paths, identity)).await
    }

    async fn open_all(paths: &Paths, identity: Identity<'_>) -> Result<Self> {
        let mut streams = Self::default();
        match Target::parse("stdin", &paths.stdin)? {
            Target::Null => {}
            Target::Path(path) => {
                let (stdin, keep) = fifo::input(&path).map_err(unopened("stdin", &path))?;
                (streams.stdin, streams.keep_stdin) = (Some(stdin), Some(keep));
            }
            Target::File(_) | Target::Program(_) => {
                let reason = "input comes from a FIFO".into();
                return Err(Error::StdioUri { stream: "stdin", uri: paths.stdin.clone(), reason });
            }
        }
        let stdout = Target::parse("stdout", &paths.stdout)?;
        // A terminal has no second output: what a client names for it is for nobody, as in containerd's own shim.
        let stderr = if paths.terminal { Target::Null } else { Target::parse("stderr", &paths.stderr)? };
        let loggers = &mut streams.loggers;
        streams.stdout = match &stdout {
            Target::Program(program) => {
                let (stdout, for_stderr) = loggers.start(program, identity).await?;
                if stderr == Target::Null || stderr == Target::Program(program.clone()) {
                    // One program takes both.
                    streams.stderr = Some(for_stderr);
                    streams.stdout = Some(stdout);
                    return Ok(streams);
                }
                Some(stdout)
            }
            other => loggers.open("stdout", other).await?,
        };
        streams.stderr = match &stderr {
            Target::Program(program) => Some(loggers.start(program, identity).await?.1),
            Target::File(_) if stderr == stdout => None,
            other => loggers.open("stderr", other).await?,
        };
        Ok(streams)
    }

    /// The FIFO behind stdin once more, if there is one.
    pub(crate) fn stdin_fifo(&self) -> io::Result<Option<OwnedFd>> {
        self.stdin.as_ref().map(|stdin| stdin.as_fd().try_clone_to_owned()).transpose()
    }
}

impl Loggers {
    async fn start(&mut self, program: &Program, identity: Identity<'_>) -> Result<(Sink, Sink)> {
        let (logger, stdout, stderr) = binary::start(program, identity).await?;
        self.programs.push(logger);
        Ok((stdout, stderr))
    }

    async fn open(&mut self, stream: &'static str, target: &Target) -> Result<Option<Sink>> {
        let (path, create) = match target {
            Target::Null | Target::Program(_) => return Ok(None),
            Target::Path(path) => (path, false),
            Target::File(path) => (path, true),
        };
        let is_fifo = path.metadata().is_ok_and(|metadata| metadata.file_type().is_fifo());
        if is_fifo {
            return fifo::output(path).map(Some).map_err(unopened(stream, path));
        }
        let (sink, written) = file::output(path, create).await.map_err(unopened(stream, path))?;
        self.files.push(written);
        Ok(Some(sink))
    }

    /// Waits until the files have everything; the sinks must have been dropped.
    pub(crate) async fn written(&mut self) {
        for written in self.files.drain(..) {
            if timeout(PATIENCE, written).await.is_err() {
                log::error!(
                    "output has not reached its file after {PATIENCE:?}: the disk does not accept it"
                );
            }
        }
    }

    /// Ends the logging programs; the sinks must have been dropped.
    pub(crate) async fn finish(self) {
        for logger in self.programs {
            logger.finish().await;
        }
    }
}

fn unopened(stream: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.display().to_string();
    move |source| Error::Stdio { stream, path, source }
}
