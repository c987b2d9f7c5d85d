//! How firmware ended, and the report of it.

use std::time::SystemTime;

use libmica::ext::{ExitReason, ExitReport};

/// The status of what was ended by force: 128 + SIGKILL.
pub(crate) const KILLED: u8 = 137;

/// How firmware ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It powered its machine or core off.
    PoweredOff,
    /// It asked for a reset.
    Reset,
    /// The machine reported a panic, or the core a crash.
    Panicked,
    /// The process that runs it was asked to end by a signal that is not ours.
    Signalled,
    /// What runs it has ended: the process, or the core's driver.
    Died,
}

/// A report of what ended now.
pub(crate) fn report(status: u8, reason: ExitReason, detail: impl Into<String>) -> ExitReport {
    ExitReport { status, reason, detail: detail.into(), exited_at: now(), core: None }
}

/// The time as documents have it: RFC 3339, UTC, with nanoseconds.
pub(crate) fn now() -> String {
    humantime::format_rfc3339_nanos(SystemTime::now()).to_string()
}
