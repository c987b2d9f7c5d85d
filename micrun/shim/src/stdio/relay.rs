//! Relays output from where it is made to where it goes.
//!
//! The rule, which has to please both a log that wants every byte and an RTOS that must not stand still:
//! - Whoever takes the output, however slowly, gets every byte; when [`SPILL`] bytes wait, the source waits too.
//! - When nothing has been taken for [`PATIENCE`], nobody is there. From then on the newest [`SPILL`] bytes are
//!   kept, older ones are dropped and counted, and the log says so; the source does not wait any more.
//! - The first byte that is taken ends that.

use std::cell::RefCell;
use std::io::{self, ErrorKind};

use nix::libc;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::outlet::Outlet;
use super::source::Source;
use super::spill::Spill;
use super::{PATIENCE, Sink};

/// Most output that waits in the shim for each stream. It takes memory only while it is used.
pub(crate) const SPILL: usize = 1 << 20;
/// One read at most. A pty hands out 4 KiB at a time, a pipe 64.
const BUFFER: usize = 64 * 1024;

thread_local! {
    /// What one read fills. Nothing waits while it is in use, so that one serves all streams: an idle one has none.
    static BYTES: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// Relays everything until the source ends, or until `ended` says that nothing more will be made and all that
/// was is relayed. Gives how many bytes were lost because nobody took them; `name` is for the log.
///
/// Without a sink, everything is read and forgotten.
pub(crate) async fn relay(
    name: &str,
    source: &impl Source,
    sink: Option<&Sink>,
    mut ended: watch::Receiver<bool>,
) -> u64 {
    let mut output =
        Output { outlet: Outlet::new(name, sink), spill: Spill::new(SPILL), taken: Instant::now() };
    let (mut open, mut over) = (true, false);
    loop {
        let absent = output.absent();
        if !open && (!output.waits() || over && absent) {
            return output.end();
        }
        let room = if absent { BUFFER } else { output.spill.room().min(BUFFER) };
        let reading = open && room > 0;
        // What is left is there already, unless the source tells that itself.
        let left = over && !source.tells_its_end();
        if !(reading && left) {
            tokio::select! {
                biased;
                () = output.outlet.writable(), if output.waits() => {
                    output.flush();
                    continue;
                }
                () = source.readable(), if reading => {}
                () = until(&mut ended), if !over => {
                    over = true;
                    continue;
                }
                () = sleep_until(output.taken + PATIENCE), if output.waits() && !absent => continue,
            }
        }
        match output.take(source, room) {
            Ok(count) => open = count > 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // At the end this says that all is read.
            Err(error) if error.kind() == ErrorKind::WouldBlock => open = !left,
            Err(error) => {
                open = false;
                // The end of a pty.
                if error.raw_os_error() != Some(libc::EIO) {
                    log::warn!("{name}: reading the output failed: {error}");
                }
            }
        }
    }
}

/// Waits for the word. A sender that is gone has said it, too.
async fn until(ended: &mut watch::Receiver<bool>) {
    let _ = ended.wait_for(|ended| *ended).await;
}

struct Output<'a> {
    outlet: Outlet<'a>,
    spill: Spill,
    /// When something was taken last, or began to wait.
    taken: Instant,
}

impl Output<'_> {
    fn waits(&self) -> bool {
        !self.spill.is_empty()
    }

    fn absent(&self) -> bool {
        self.waits() && self.taken.elapsed() >= PATIENCE
    }

    /// Reads `room` bytes at most, and hands them on; gives how many they were.
    fn take(&mut self, source: &impl Source, room: usize) -> io::Result<usize> {
        BYTES.with_borrow_mut(|bytes| {
            let count = source.try_read(&mut bytes[..room])?;
            self.put(&bytes[..count]);
            Ok(count)
        })
    }

    /// Hands on what it can at once; the rest waits.
    fn put(&mut self, bytes: &[u8]) {
        let rest = if self.waits() { bytes } else { &bytes[self.outlet.write(bytes)..] };
        if rest.is_empty() {
            return;
        }
        if !self.waits() {
            self.taken = Instant::now();
        }
        let displaced = self.spill.push(rest);
        self.outlet.lose(displaced, "nobody reads it");
    }

    /// Hands on what waits, as far as that goes.
    fn flush(&mut self) {
        while self.waits() {
            let count = self.outlet.write(self.spill.front());
            if count == 0 {
                return;
            }
            self.spill.consume(count);
            self.taken = Instant::now();
        }
        self.outlet.recovered();
    }

    fn end(mut self) -> u64 {
        self.outlet.lose(self.spill.len(), "it has ended, and nobody reads the rest");
        self.outlet.end()
    }
}

/// Says, when a process has ended, how much of its output nobody has got. What the log said meanwhile is far above.
pub(crate) fn log_lost(name: &str, bytes: u64) {
    if bytes > 0 {
        log::error!("{name} has ended; {bytes} bytes of its output were lost because nobody read them");
    }
}
