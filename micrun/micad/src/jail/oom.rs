//! How soon the kernel kills a process when memory runs out.

use std::io;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// The calling process's score (proc(5)).
const FILE: &str = "/proc/self/oom_score_adj";

/// A score with the kernel's out-of-memory killer.
#[derive(Debug)]
pub(crate) struct OomScore(String);

impl OomScore {
    /// What was asked for, or the daemon's own if that is higher: only a privileged process may lower its score.
    pub(crate) fn at_least(asked: u16) -> Self {
        let own = std::fs::read_to_string(FILE).ok().and_then(|text| text.trim().parse().ok());
        Self(own.unwrap_or(0).max(i32::from(asked)).to_string())
    }

    /// Sets it for the calling process. Async-signal-safe.
    pub(super) fn apply(&self) -> io::Result<()> {
        let file = open(FILE, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        nix::unistd::write(&file, self.0.as_bytes())?;
        Ok(())
    }
}
