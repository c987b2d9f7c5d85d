//! What the host's kernel gives: child processes and terminals.
//!
//! It uses no other room.

pub(crate) mod children;
pub(crate) mod tty;
