//! What the host's kernel gives: child processes, terminals, files to watch.
//!
//! It uses no other room.

pub(crate) mod children;
pub(crate) mod lock;
pub(crate) mod tty;
pub(crate) mod watch;
