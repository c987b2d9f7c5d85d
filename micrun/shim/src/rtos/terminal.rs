//! The terminal on which commands reach the firmware's shell: a second one of its own, or the console while nobody
//! else types there.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, mpsc};

use crate::os::tty::Tty;
use crate::stdio::tap::Tap;

const BUFFER: usize = 4096;

/// The console of a container that runs.
#[derive(Clone, Debug)]
pub(crate) struct Console {
    /// The device.
    pub tty: Arc<Tty>,
    /// What is read of it, for those beside the one who relays it.
    pub tap: Arc<Tap>,
    /// Held by whoever types.
    pub keyboard: Arc<Mutex<()>>,
}

/// Where a shell is.
#[derive(Debug)]
pub(crate) enum Terminal {
    /// On a terminal that nobody else has.
    Own(Tty),
    /// On the console, of which each byte reaches the container's output as well.
    Borrowed(Loan),
}

/// The right to type on the console. Whatever the container's stdin brings waits until it ends.
#[derive(Debug)]
pub(crate) struct Loan {
    tty: Arc<Tty>,
    output: mpsc::Receiver<Vec<u8>>,
    _keyboard: OwnedMutexGuard<()>,
}

impl Console {
    /// Borrows it, as soon as it is free.
    pub(super) async fn borrow(&self) -> Loan {
        let keyboard = Arc::clone(&self.keyboard).lock_owned().await;
        Loan { tty: Arc::clone(&self.tty), output: self.tap.listen(), _keyboard: keyboard }
    }
}

impl Terminal {
    /// Opens a terminal that is the shell's own.
    pub(super) fn open(device: &Path) -> Result<Self, String> {
        let opened = Tty::open(device).map(Self::Own);
        opened.map_err(|error| format!("cannot open {}: {error}", device.display()))
    }

    /// Waits for bytes; none is the end. May be cancelled.
    pub(super) async fn read(&mut self) -> io::Result<Vec<u8>> {
        match self {
            Self::Own(tty) => {
                let mut buffer = vec![0; BUFFER];
                let count = tty.read(&mut buffer).await?;
                buffer.truncate(count);
                Ok(buffer)
            }
            Self::Borrowed(loan) => Ok(loan.output.recv().await.unwrap_or_default()),
        }
    }

    /// Takes what is there already, for nobody; whether that was something.
    pub(super) fn discard(&mut self) -> bool {
        let mut any = false;
        match self {
            Self::Own(tty) => {
                let mut buffer = [0; BUFFER];
                while matches!(tty.try_read(&mut buffer), Ok(1..)) {
                    any = true;
                }
            }
            Self::Borrowed(loan) => {
                while loan.output.try_recv().is_ok() {
                    any = true;
                }
            }
        }
        any
    }

    /// Types.
    pub(super) async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Own(tty) => tty.write_all(bytes).await,
            Self::Borrowed(loan) => loan.tty.write_all(bytes).await,
        }
    }

    /// Whether it is to be given back.
    pub(super) fn is_borrowed(&self) -> bool {
        matches!(self, Self::Borrowed(_))
    }
}
