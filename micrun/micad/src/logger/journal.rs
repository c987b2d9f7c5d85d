//! Whether stderr is the journal's: then it takes the priority of a line from its beginning (sd-daemon(3)).

use std::os::fd::AsFd;

use log::Level;

/// The variable by which systemd names the device and the inode of the stream (systemd.exec(5)).
const VARIABLE: &str = "JOURNAL_STREAM";

/// Whether `output` is the stream that systemd has made for this process. A variable alone does not tell: it is inherited
/// by programs whose output goes elsewhere.
pub(super) fn is_at(output: &impl AsFd) -> bool {
    let Some(named) = std::env::var(VARIABLE).ok() else { return false };
    rustix::fs::fstat(output).is_ok_and(|found| named == format!("{}:{}", found.st_dev, found.st_ino))
}

/// The prefix of a line.
pub(super) fn priority(level: Level) -> &'static str {
    match level {
        Level::Error => "<3>",
        Level::Warn => "<4>",
        Level::Info => "<6>",
        Level::Debug | Level::Trace => "<7>",
    }
}
