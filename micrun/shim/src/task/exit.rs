//! How a process ended, as the Task API reports it.

use std::time::SystemTime;

use nix::libc::SIGKILL;

use crate::os::children::Ended;

/// Status of a process whose end nobody saw; containerd uses the same for a shim that is gone.
const UNKNOWN: u32 = 255;
/// Added to a signal's number, as a shell does.
const SIGNALLED: u32 = 128;
/// Status of what could not be started (sh(1): found and not executable).
const NOT_STARTED: u32 = 126;

/// How and when a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// Exit status as a shell would show it: 0 to 255, 128 + signal after a signal.
    pub status: u32,
    /// When it ended.
    pub at: SystemTime,
}

impl Exit {
    /// It ended now, with this status.
    pub(crate) fn now(status: u32) -> Self {
        Self { status, at: SystemTime::now() }
    }

    /// A signal ended it now.
    pub(crate) fn signalled(signal: u32) -> Self {
        Self::now(SIGNALLED + signal)
    }

    /// SIGKILL ended it now; the end of what is deleted before it ever ran.
    pub(crate) fn killed() -> Self {
        Self::signalled(SIGKILL.unsigned_abs())
    }

    /// It could not be started.
    pub(crate) fn not_started() -> Self {
        Self::now(NOT_STARTED)
    }

    /// It ended, and how could not be learned.
    pub(crate) fn unknown() -> Self {
        Self::now(UNKNOWN)
    }
}

impl From<Ended> for Exit {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Code(code) => Self::now(code),
            Ended::Signal(signal) => Self::signalled(signal),
        }
    }
}
