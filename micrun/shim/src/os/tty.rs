//! Terminals: the device that is an RTOS's console, and the master of a Linux process's pty.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::libc;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::attached::Attached;
use super::watch::register;

/// An open terminal.
#[derive(Debug)]
pub(crate) enum Tty {
    /// A device.
    Device(AsyncFd<File>),
    /// A console that comes over a connection, and the device that it is as well.
    Attached(Attached, PathBuf),
}

impl Tty {
    /// Opens the device and makes it byte-transparent: no echo, no line editing, no translation.
    pub(crate) fn open(device: &Path) -> io::Result<Self> {
        let file = open(device)?;
        let mut settings = tcgetattr(&file)?;
        cfmakeraw(&mut settings);
        tcsetattr(&file, SetArg::TCSANOW, &settings)?;
        Ok(Self::Device(register(file)?))
    }

    /// Takes the master of a pty. How its slave behaves is for the process to say that has it.
    pub(crate) fn from_master(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self::Device(register(File::from(master))?))
    }

    /// Waits until there may be output, or the device is gone.
    pub(crate) async fn readable(&self) {
        match self {
            // What is wrong shows when it is read.
            Self::Device(file) => drop(file.readable().await),
            Self::Attached(console, _) => console.readable().await,
        }
    }

    /// Takes what is there; 0 bytes mean that the device is gone. `WouldBlock` when that is nothing: the kernel then has
    /// pushed everything that was written to the other side (`n_tty_read` flushes the port's buffers first).
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match self {
            Self::Device(file) => file,
            Self::Attached(console, _) => return console.try_read(buffer),
        };
        match file.get_ref().read(buffer) {
            // The runtime takes note of it, but until a poll has said otherwise does not ask the kernel.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                file.try_io(Interest::READABLE, |mut file| file.read(buffer))
            }
            result => result,
        }
    }

    /// Waits for output. 0 means that the device is gone.
    pub(crate) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await;
            match self.try_read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Writes all of `bytes`, waiting while the other side does not read.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        let file = match self {
            Self::Device(file) => file,
            Self::Attached(console, _) => return console.write_all(bytes).await,
        };
        while !bytes.is_empty() {
            let mut ready = file.writable().await?;
            if let Ok(result) = ready.try_io(|file| file.get_ref().write(bytes)) {
                bytes = &bytes[result?..];
            }
        }
        Ok(())
    }

    /// Sets the size that the terminal reports, as far as it can; whether a firmware asks for it is its own matter.
    fn resize(&self, columns: u32, rows: u32) -> io::Result<()> {
        let [ws_col, ws_row] = [columns, rows].map(|size| u16::try_from(size).unwrap_or(u16::MAX));
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        match self {
            Self::Device(file) => Ok(tcsetwinsize(file.get_ref(), size)?),
            Self::Attached(_, device) => Ok(tcsetwinsize(open(device)?, size)?),
        }
    }

    /// Whether its end is told where it is read, and comes after all that was written.
    pub(crate) fn tells_its_end(&self) -> bool {
        matches!(self, Self::Attached(..))
    }

    /// Waits until more bytes than so many were lost in that way. May be cancelled.
    pub(crate) async fn missed_more_than(&self, count: u64) {
        match self {
            Self::Device(_) => std::future::pending().await,
            Self::Attached(console, _) => console.missed_more_than(count).await,
        }
    }

    /// How many bytes were lost because they were not read in time.
    pub(crate) fn missed(&self) -> u64 {
        match self {
            Self::Device(_) => 0,
            Self::Attached(console, _) => console.missed(),
        }
    }
}

fn open(device: &Path) -> io::Result<File> {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(device)
}

/// The terminal of a process, and the size that it is to have.
///
/// A client tells the size once, when Start has answered; an RTOS may announce its console only after that.
#[derive(Debug, Default)]
pub(crate) struct Terminal {
    tty: Option<Arc<Tty>>,
    /// Columns and rows, as last asked for.
    size: Option<(u32, u32)>,
}

impl Terminal {
    /// It is there. `id` is whose it is.
    pub(crate) fn opened(&mut self, id: &str, tty: Arc<Tty>) {
        self.tty = Some(tty);
        self.apply_size(id);
    }

    /// It is needed no more.
    pub(crate) fn close(&mut self) {
        self.tty = None;
    }

    /// Gives it a size, as soon as it is there.
    pub(crate) fn resize(&mut self, id: &str, columns: u32, rows: u32) {
        self.size = Some((columns, rows));
        self.apply_size(id);
    }

    fn apply_size(&self, id: &str) {
        if let (Some(tty), Some((columns, rows))) = (&self.tty, self.size)
            && let Err(error) = tty.resize(columns, rows)
        {
            log::debug!(container = id; "{id}: cannot resize the terminal: {error}");
        }
    }
}
