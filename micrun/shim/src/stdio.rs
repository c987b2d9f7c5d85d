//! The container's standard streams: the FIFOs that containerd makes and names in Create.
//!
//! Both ends of each FIFO are held, so that a containerd that restarts is no end of file (containerd,
//! `cmd/containerd-shim-runc-v2/process/io.go`).

use std::path::Path;

use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use crate::error::{Error, Result};

/// What Create says about the streams.
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths {
    /// FIFO to read, or empty.
    pub stdin: String,
    /// FIFO to write, or empty.
    pub stdout: String,
    /// FIFO to write, or empty. The RTOS has one console, so nothing is ever written to it.
    pub stderr: String,
    /// The client at the other end is a terminal.
    pub terminal: bool,
}

/// The open streams.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// What the client types.
    pub stdin: Option<Receiver>,
    /// Keeps stdin from ending while nobody is attached; `CloseIO` drops it.
    pub keep_stdin: Option<Sender>,
    /// What the client sees.
    pub stdout: Option<Output>,
    /// Held open until the end, so that the client sees end of file when stdout ends, and not before.
    pub stderr: Option<Output>,
}

/// A writing end, opened for reading as well, so that it works without a reader.
pub(crate) type Output = Sender;

impl Streams {
    /// Opens what `paths` names. Must be called within a tokio runtime.
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        let (stdin, keep_stdin) = open("stdin", &paths.stdin, input)?.unzip();
        Ok(Self {
            stdin,
            keep_stdin,
            stdout: open("stdout", &paths.stdout, output)?,
            stderr: open("stderr", &paths.stderr, output)?,
        })
    }
}

fn open<T>(stream: &'static str, path: &str, how: fn(&Path) -> std::io::Result<T>) -> Result<Option<T>> {
    if path.is_empty() {
        return Ok(None);
    }
    if path.contains("://") {
        return Err(Error::StdioScheme { stream, uri: path.to_owned() });
    }
    how(Path::new(path)).map(Some).map_err(|source| Error::Stdio { stream, path: path.to_owned(), source })
}

fn input(path: &Path) -> std::io::Result<(Receiver, Sender)> {
    let reader = OpenOptions::new().open_receiver(path)?;
    // Succeeds because the line above is a reader.
    let keep_open = OpenOptions::new().open_sender(path)?;
    Ok((reader, keep_open))
}

fn output(path: &Path) -> std::io::Result<Output> {
    OpenOptions::new().read_write(true).open_sender(path)
}
