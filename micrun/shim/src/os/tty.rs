//! Terminals: the device that is an RTOS's console, and the master of a Linux process's pty.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::libc;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::watch::register;

/// An open terminal.
#[derive(Debug)]
pub(crate) struct Tty(AsyncFd<File>);

impl Tty {
    /// Opens the device and makes it byte-transparent: no echo, no line editing, no translation.
    pub(crate) fn open(device: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(device)?;
        let mut settings = tcgetattr(&file)?;
        cfmakeraw(&mut settings);
        tcsetattr(&file, SetArg::TCSANOW, &settings)?;
        Ok(Self(register(file)?))
    }

    /// Takes the master of a pty. How its slave behaves is for the process to say that has it.
    pub(crate) fn from_master(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self(register(File::from(master))?))
    }

    /// Waits until there may be output, or the device is gone.
    pub(crate) async fn readable(&self) {
        // What is wrong shows when it is read.
        let _ = self.0.readable().await;
    }

    /// Takes what is there; 0 bytes mean that the device is gone. `WouldBlock` when that is nothing: the kernel then has
    /// pushed everything that was written to the other side (`n_tty_read` flushes the port's buffers first).
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.get_ref().read(buffer) {
            // The runtime takes note of it, but until a poll has said otherwise does not ask the kernel.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.0.try_io(Interest::READABLE, |mut file| file.read(buffer))
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
        while !bytes.is_empty() {
            let mut ready = self.0.writable().await?;
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
        Ok(tcsetwinsize(self.0.get_ref(), size)?)
    }
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
