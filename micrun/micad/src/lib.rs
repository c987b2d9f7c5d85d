//! The mica daemon (`micad`) and the `mica` command.
//!
//! [`daemon`] listens on the sockets of the mica protocol and keeps one task per client; `pedestal` is what
//! firmware runs on; [`cli`] is the command.

mod acl;
pub mod blocking;
mod cgroup;
pub mod cli;
mod conf;
pub mod config;
mod cores;
pub mod daemon;
mod error;
mod gdb_packet;
mod jail;
mod live;
pub mod logger;
mod metrics;
mod pedestal;
mod store;
mod sys;

pub use error::{Error, Result};

/// What `micad --relay` does, which the daemon starts for a console: relays bytes between the terminals that come by the
/// socket at its standard input and the pty at its standard output.
pub fn relay() -> std::io::Result<()> {
    pedestal::broker::process::run()
}
