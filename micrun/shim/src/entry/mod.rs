//! What containerd calls: the command line, `start`, `delete`, `-info`, and the server that `start` leaves behind.
//!
//! One file for each action. It may use every other room; only `main` uses it.

pub(crate) mod args;
pub(crate) mod delete;
pub(crate) mod info;
mod living;
mod logger;
pub(crate) mod print_config;
mod reply;
pub(crate) mod server;
pub(crate) mod start;
