//! Our mica daemon and the `mica` command.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::daemon::Daemon;
use crate::process::{self, Output};
use crate::{isolation, wait};

/// A running micad with its defaults.
pub struct Micad {
    daemon: Daemon,
    config: Option<PathBuf>,
}

impl Micad {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        Self { daemon: spawn(None), config: None }
    }

    /// The same with this text as its configuration.
    pub fn configured(text: &str) -> Self {
        let path = isolation::state_dir().join("micad.conf");
        std::fs::write(&path, text).expect("/run is writable");
        Self { daemon: spawn(Some(&path)), config: Some(path) }
    }

    /// Ends it as `systemctl restart` would (firmware keeps running) and starts it again.
    pub fn restart(&mut self) {
        self.restart_by(Signal::SIGTERM, || ());
    }

    /// As [`Self::restart`], ended by any signal, with something happening while it is away.
    pub fn restart_by(&mut self, signal: Signal, meanwhile: impl FnOnce()) {
        self.daemon.end(signal);
        meanwhile();
        self.daemon = spawn(self.config.as_deref());
    }

    /// Its log.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

fn spawn(config: Option<&Path>) -> Daemon {
    let mut command = Command::new(isolation::binary("micad"));
    if let Some(config) = config {
        command.arg("--config").arg(config);
    }
    let mut daemon = Daemon::spawn("micad", &mut command);
    wait::until("micad answers", || {
        assert!(daemon.is_running(), "micad ended: {}", daemon.log());
        (mica(&["list"]).status == 0).then_some(())
    });
    daemon
}

/// Runs the `mica` command.
pub fn mica(args: &[&str]) -> Output {
    process::run(Command::new(isolation::binary("mica")).args(args))
}
