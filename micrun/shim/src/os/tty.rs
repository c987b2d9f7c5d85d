//! The terminal that stands for the RTOS console.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::libc;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::stdio::Source;

/// An open console.
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

    /// Takes the master of a terminal whose other side is a process's: how it behaves is the process's to say.
    pub(crate) fn from_master(master: OwnedFd) -> io::Result<Self> {
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok(Self(register(File::from(master))?))
    }

    /// Writes all of `bytes` to the RTOS, waiting while it does not read.
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
        let size = libc::winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        set_window_size(self.0.get_ref().as_raw_fd(), size)
    }
}

impl Source for Tty {
    /// 0 means that the device is gone.
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(result) = ready.try_io(|file| file.get_ref().read(buffer)) {
                return result;
            }
        }
    }

    /// `WouldBlock` when nothing is there: the kernel then has pushed everything that was written to the other
    /// side (`n_tty_read` flushes the port's buffers first).
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.get_ref().read(buffer)
    }
}

/// Where a process's terminal is, and the size that it is to have.
///
/// A client tells the size once, when Start has answered; the console of an RTOS may be announced only then.
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
            log::debug!("{id}: cannot resize the terminal: {error}");
        }
    }
}

/// Lets the runtime tell when a file can be read or written.
pub(crate) fn register(file: File) -> io::Result<AsyncFd<File>> {
    register_for(file, Interest::READABLE | Interest::WRITABLE)
}

/// Lets the runtime tell when something else happens to a file.
#[expect(unsafe_code, reason = "tokio leaves it to the caller that the descriptor stays the same")]
pub(crate) fn register_for(file: File, interest: Interest) -> io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns its descriptor and names the same one until it is dropped with the `AsyncFd`.
    Ok(unsafe { AsyncFd::register_with_interest(file, interest) }?)
}

#[expect(unsafe_code, reason = "neither std nor nix wraps TIOCSWINSZ")]
fn set_window_size(fd: RawFd, size: libc::winsize) -> io::Result<()> {
    // SAFETY: the ioctl reads one `winsize` through a pointer that is valid for the call.
    let result = unsafe { libc::ioctl(fd, libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
