//! The pty that a status tells, from the broker's side: a reader that says nothing of what it has missed.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd::write;

use super::ring::Ring;
use super::terminal::CHUNK;

/// When nothing was taken from the pty for that long, nobody reads it, and the end of a run does not wait for that.
const ABSENT: Duration = Duration::from_secs(1);

/// The pty that a status tells.
pub(super) struct Pty {
    pub(super) master: OwnedFd,
    /// The position of the byte that it gets next.
    pub(super) position: u64,
    /// It has no room.
    pub(super) blocked: bool,
    /// When it took something, or had nothing to take.
    taken: Instant,
}

impl Pty {
    /// One that has got nothing yet.
    pub(super) fn new(master: OwnedFd) -> Self {
        Self { master, position: 0, blocked: false, taken: Instant::now() }
    }

    /// Whether something waits for room there.
    pub(super) fn waits(&self, ring: &Ring) -> bool {
        self.blocked && self.position < ring.head()
    }

    /// Something comes. Whoever had nothing to take has not been slow.
    pub(super) fn before(&mut self, ring: &Ring) {
        if self.position == ring.head() {
            self.taken = Instant::now();
        }
    }

    /// When it will be clear that nobody reads it.
    pub(super) fn absent(&self) -> Duration {
        ABSENT.saturating_sub(self.taken.elapsed())
    }

    /// Gives it what it can take. What it misses does not count as lost: whether anybody reads there, nothing tells.
    pub(super) fn flush(&mut self, ring: &Ring) -> io::Result<()> {
        let oldest = ring.oldest();
        let mut chunk = [0; CHUNK];
        while !self.blocked && self.position < ring.head() {
            self.position = self.position.max(oldest);
            let count = ring.read(self.position, &mut chunk);
            match write(&self.master, &chunk[..count]) {
                Ok(0) | Err(Errno::EWOULDBLOCK) => self.blocked = true,
                Ok(count) => {
                    self.position += count as u64;
                    self.taken = Instant::now();
                }
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }
}
