//! The way out for output, and the account of what was lost on it.

use std::io::ErrorKind;

use super::Sink;

/// A sink that may break, be full, or never have been there.
pub(super) struct Outlet<'a> {
    /// Whose output, for the log.
    name: &'a str,
    /// `None` when there is nobody, or nobody any more.
    sink: Option<&'a Sink>,
    /// There was somebody.
    broken: bool,
    /// Bytes that nobody will see.
    lost: u64,
    /// How many of them the log knows.
    told: u64,
}

impl<'a> Outlet<'a> {
    /// A way to `sink`; what is written without one is neither kept nor lost.
    pub(super) fn new(name: &'a str, sink: Option<&'a Sink>) -> Self {
        Self { name, sink, broken: false, lost: 0, told: 0 }
    }

    /// Waits until something may be written.
    pub(super) async fn writable(&self) {
        if let Some(sink) = self.sink {
            // What is wrong shows again when something is written.
            let _ = sink.writable().await;
        }
    }

    /// Writes what it can at once. Gives how many bytes are off the caller's hands.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let Some(sink) = self.sink else {
            self.lose(if self.broken { bytes.len() } else { 0 }, "nobody is left to take it");
            return bytes.len();
        };
        match sink.try_write(bytes) {
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => 0,
            Err(error) => {
                log::error!("{}: writing the output failed: {error}", self.name);
                (self.sink, self.broken) = (None, true);
                self.write(bytes)
            }
        }
    }

    /// Counts bytes as lost. The first of a series are worth a line in the log.
    pub(super) fn lose(&mut self, count: usize, reason: &str) {
        if count > 0 && self.lost == self.told {
            log::error!("{}: output is being lost: {reason}", self.name);
        }
        self.lost += count as u64;
    }

    /// Ends a series of losses: what waited has been taken.
    pub(super) fn recovered(&mut self) {
        if self.lost > self.told && self.sink.is_some() {
            log::error!("{}: output is read again; {} bytes were lost", self.name, self.lost - self.told);
            self.told = self.lost;
        }
    }

    /// Gives how many bytes were lost in all.
    pub(super) fn end(self) -> u64 {
        if self.lost > self.told {
            log::error!("{}: {} bytes of output were lost", self.name, self.lost - self.told);
        }
        self.lost
    }
}
