//! The mica daemon (`micad`) and the `mica` command.
//!
//! [`daemon`] listens on the sockets of the mica protocol and keeps one task per client; `pedestal` is what
//! firmware runs on; [`cli`] is the command.

pub mod cli;
mod conf;
pub mod config;
pub mod daemon;
mod error;
pub mod logger;
mod pedestal;
mod sys;

pub use error::{Error, Result};

/// What `micad --carry` does, which the daemon, process `parent`, starts for a console: carries bytes between
/// the terminals that come by the inherited descriptor `socket` and the inherited `pty`.
pub fn carry(socket: i32, pty: i32, parent: i32) -> std::io::Result<()> {
    pedestal::carry::run(sys::inherited(socket), sys::inherited(pty), parent)
}
