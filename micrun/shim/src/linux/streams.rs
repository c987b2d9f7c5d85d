//! The ends of a process's pipes, or its terminal: those that the runtime hands to the process, and those that the
//! shim relays bytes from and to.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::unistd::{Gid, Uid};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::watch;

use crate::os::tty::Tty;
use crate::stdio::{self, Paths, Sink, Streams, input};

/// What the process gets.
#[derive(Debug, Default)]
pub(super) struct Ends {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
}

/// What is relayed, and from where to where.
#[derive(Debug)]
pub(super) enum Relay {
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
pub(super) fn pipes(streams: Streams, paths: &Paths, owner: (Uid, Gid)) -> io::Result<(Ends, Relay)> {
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
    Ok((ends, Relay::Pipes { stdin: input, output }))
}

impl Relay {
    /// Relays everything until the process has `ended` and all it wrote is relayed, or lost.
    pub(super) async fn run(self, name: String, ended: watch::Receiver<bool>) {
        let lost = match self {
            Self::Pipes { stdin, output } => {
                let input = stdin.map(|(from, to)| tokio::spawn(input::to_pipe(name.clone(), from, to)));
                let relay = async |pipe: Option<(Receiver, Sink)>| {
                    let Some((from, to)) = pipe else { return 0 };
                    stdio::relay(&name, &from, Some(&to), ended.clone()).await
                };
                let mut output = output.into_iter();
                let (stdout, stderr) = (relay(output.next()), relay(output.next()));
                let (stdout, stderr) = tokio::join!(stdout, stderr);
                if let Some(input) = input {
                    input.abort();
                }
                stdout + stderr
            }
            Self::Terminal { tty, stdin, stdout } => {
                let input = stdin.map(|from| {
                    tokio::spawn(input::to_terminal(
                        name.clone(),
                        from,
                        Arc::clone(&tty),
                        Arc::default(),
                        None,
                    ))
                });
                let lost = stdio::relay(&name, &*tty, stdout.as_ref(), ended).await;
                if let Some(input) = input {
                    input.abort();
                }
                lost
            }
        };
        stdio::log_lost(&name, lost);
    }
}
