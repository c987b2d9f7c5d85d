//! Where output comes from.

use std::future::Future;
use std::io::{self, ErrorKind};

use tokio::net::unix::pipe::Receiver;

use crate::os::tty::Tty;

/// A pipe or a terminal that a process writes to.
///
/// To wait and to read are two steps, so that nobody needs memory for the bytes while there are none.
pub(crate) trait Source: Sync {
    /// Waits until there may be output, or its end. What is wrong shows when it is read.
    fn readable(&self) -> impl Future<Output = ()> + Send;

    /// Takes what is there, 0 bytes at the end. `WouldBlock` says that the kernel has nothing, and
    /// [`Self::readable`] waits for more.
    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Whether it is read to an end that comes by itself, after all that was made, whoever says meanwhile that nothing more
    /// will be.
    fn tells_its_end(&self) -> bool {
        false
    }
}

impl Source for Receiver {
    async fn readable(&self) {
        let _ = Receiver::readable(self).await;
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match nix::unistd::read(self, buffer).map_err(io::Error::from) {
            // tokio's own takes note of it, but until a poll has said otherwise does not ask the kernel.
            Err(error) if error.kind() == ErrorKind::WouldBlock => Receiver::try_read(self, buffer),
            result => result,
        }
    }
}

impl Source for Tty {
    async fn readable(&self) {
        Tty::readable(self).await;
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        Tty::try_read(self, buffer)
    }

    fn tells_its_end(&self) -> bool {
        Tty::tells_its_end(self)
    }
}
