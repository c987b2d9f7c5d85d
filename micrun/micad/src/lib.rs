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
