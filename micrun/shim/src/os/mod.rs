//! What the host's kernel gives: child processes, terminals, files to watch, and threads for work that can wait.
//!
//! It uses no other room.

pub(crate) mod attached;
pub(crate) mod blocking;
pub(crate) mod children;
pub(crate) mod descriptors;
pub(crate) mod kernel_log;
pub(crate) mod lock;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod netns;
pub(crate) mod tty;
pub(crate) mod watch;
