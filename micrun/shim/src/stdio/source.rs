//! Where output comes from.

use std::future::Future;
use std::io::{self, ErrorKind};

use tokio::net::unix::pipe::Receiver;

use crate::os::tty::Tty;

/// A pipe or a terminal that a process writes to.
pub(crate) trait Source: Sync {
    /// Waits for output. 0 is the end.
    fn read(&self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Takes what is there; `WouldBlock` when that is nothing.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;
}

impl Source for Receiver {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.readable().await?;
            // tokio's own, which takes note of a `WouldBlock`.
            match Receiver::try_read(self, buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result,
            }
        }
    }

    /// Asks the kernel: tokio's own `try_read` says `WouldBlock` until a poll has said otherwise.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(nix::unistd::read(self, buffer)?)
    }
}

impl Source for Tty {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Tty::read(self, buffer).await
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Tty::try_read(self, buffer)
    }
}
