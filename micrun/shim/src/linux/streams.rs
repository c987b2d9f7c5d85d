//! The ends of a process's pipes, or its terminal: those that the runtime hands to the process, and those that the
//! shim carries bytes from and to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::unistd::{Gid, Uid};
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::watch;

use crate::os::tty::Tty;
use crate::rtos::console;
use crate::rtos::end as exit;
use crate::stdio::{self, Paths, Sink, Streams};

/// One read of stdin at most.
const BUFFER: usize = 4 * 1024;

/// What the process gets.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// What is carried.
#[derive(Debug)]
pub(super) enum Carriage {
    /// A pipe for each stream.
    Pipes {
        /// From the client to the process.
        stdin: Option<(Receiver, Sender)>,
        /// From the process to the client.
        output: Vec<(Receiver, Sink)>,
    },
    /// One terminal for all.
    Terminal {
        /// Its master.
        tty: Arc<Tty>,
        /// From the client.
        stdin: Option<Receiver>,
        /// To the client.
        stdout: Option<Sink>,
    },
}

/// Makes a pipe for each stream that somebody wants; the process's user owns them, so that it may open
/// `/dev/stdout`.
pub(super) fn pipes(streams: Streams, paths: &Paths, owner: (Uid, Gid)) -> io::Result<(Ends, Carriage)> {
    let Streams { stdin, stdout, stderr, .. } = streams;
    let pipe = || {
        let (reader, writer) = io::pipe()?;
        nix::unistd::fchown(&reader, Some(owner.0), Some(owner.1))?;
        io::Result::Ok((OwnedFd::from(reader), OwnedFd::from(writer)))
    };
    let mut ends = Ends::default();
    let mut output = Vec::new();
    let input = match stdin {
        Some(stdin) => {
            let (reader, writer) = pipe()?;
            ends.stdin = Some(reader);
            Some((stdin, Sender::from_owned_fd(writer)?))
        }
        None => None,
    };
    let shared = stderr.is_none() && !paths.stderr.is_empty();
    for (end, sink) in [(&mut ends.stdout, stdout), (&mut ends.stderr, stderr)] {
        let Some(sink) = sink else { continue };
        let (reader, writer) = pipe()?;
        *end = Some(writer);
        output.push((Receiver::from_owned_fd(reader)?, sink));
    }
    if shared {
        // Both go to one file, in the order in which they are written.
        ends.stderr = ends.stdout.as_ref().map(OwnedFd::try_clone).transpose()?;
    }
    Ok((ends, Carriage::Pipes { stdin: input, output }))
}

impl Carriage {
    /// Carries everything until the process has `ended` and all it wrote is carried, or lost.
    pub(super) async fn run(self, name: String, ended: watch::Receiver<bool>) {
        let lost = match self {
            Self::Pipes { stdin, output } => {
                let input = stdin.map(|(from, to)| tokio::spawn(copy_in(name.clone(), from, to)));
                let carry = async |pipe: Option<(Receiver, Sink)>| {
                    let Some((from, to)) = pipe else { return 0 };
                    stdio::carry(&name, &from, Some(&to), ended.clone()).await
                };
                let mut output = output.into_iter();
                let (stdout, stderr) = (carry(output.next()), carry(output.next()));
                let (stdout, stderr) = tokio::join!(stdout, stderr);
                if let Some(input) = input {
                    input.abort();
                }
                stdout + stderr
            }
            Self::Terminal { tty, stdin, stdout } => {
                let input = stdin.map(|from| tokio::spawn(console::copy_in(Arc::clone(&tty), from, None)));
                let lost = stdio::carry(&name, &*tty, stdout.as_ref(), ended).await;
                if let Some(input) = input {
                    input.abort();
                }
                lost
            }
        };
        exit::tell_lost(&name, lost);
    }
}

/// Copies stdin until it ends, or until the process does not read any more.
async fn copy_in(name: String, mut from: Receiver, mut to: Sender) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) => return log::warn!("{name}: reading stdin failed: {error}"),
        };
        if let Err(error) = to.write_all(&buffer[..count]).await {
            return log::debug!("{name}: {count} bytes of input are lost: {error}");
        }
    }
}
