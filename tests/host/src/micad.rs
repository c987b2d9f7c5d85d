//! Our mica daemon and the `mica` command.

use std::os::unix::net::UnixStream;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::process::{self, Output};
use crate::{isolation, wait};

const SOCKET: &str = "/run/mica/mica-create.socket";

/// A running micad with its defaults.
pub struct Micad {
    daemon: Daemon,
}

impl Micad {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        let mut daemon = Daemon::spawn("micad", &mut Command::new(isolation::binary("micad")));
        wait::until("micad accepts connections", || {
            assert!(daemon.is_running(), "micad ended: {}", daemon.log());
            UnixStream::connect(SOCKET).ok()
        });
        Self { daemon }
    }

    /// Ends it.
    pub fn end(&mut self, signal: Signal) -> i32 {
        self.daemon.end(signal)
    }
}

/// Runs the `mica` command.
pub fn mica(args: &[&str]) -> Output {
    process::run(Command::new(isolation::binary("mica")).args(args))
}
