//! containerd as Debian ships it, without CRI, and `ctr`.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::console::Console;
use crate::daemon::Daemon;
use crate::process::{self, Output};
use crate::{isolation, wait};

/// Its socket.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// Where its configuration has images and snapshots.
const ROOT: &str = r#"root = "/run/micrun-test/containerd""#;

/// A running containerd at its default socket; its content and snapshots live on the private `/run`.
pub struct Containerd {
    daemon: Daemon,
    config: PathBuf,
    /// What its environment has besides the test's own.
    environment: Vec<(&'static str, String)>,
}

impl Containerd {
    /// Starts it and waits until it accepts connections.
    pub fn start() -> Self {
        Self::with_config(&config())
    }

    /// The same with its images and snapshots elsewhere.
    pub fn rooted_at(root: &Path) -> Self {
        let text = std::fs::read_to_string(config()).expect("the configuration is there");
        let (before, after) = text.split_once(ROOT).expect("the configuration names the root");
        let path = isolation::state_dir().join("containerd.toml");
        std::fs::write(&path, format!("{before}root = \"{}\"{after}", root.display()))
            .expect("/run is writable");
        Self::with_config(&path)
    }

    /// The same with another configuration.
    pub fn with_config(config: &Path) -> Self {
        Self::with_environment(config, Vec::new())
    }

    /// The same with further variables, which its shims inherit.
    pub fn with_environment(config: &Path, environment: Vec<(&'static str, String)>) -> Self {
        Self { daemon: spawn(config, &environment), config: config.to_owned(), environment }
    }

    /// As [`Self::start`]; its shims read this text as micrun.conf.
    pub fn with_micrun_conf(text: &str) -> Self {
        let path = isolation::state_dir().join("micrun.conf");
        std::fs::write(&path, text).expect("/run is writable");
        Self::with_environment(&config(), vec![("MICRUN_CONF_FILE", path.display().to_string())])
    }

    /// Ends it as `systemctl restart` would (containers keep running) and starts it again.
    pub fn restart(&mut self) {
        self.restart_after(|| ());
    }

    /// As [`Self::restart`], with something happening while it is away.
    pub fn restart_after(&mut self, meanwhile: impl FnOnce()) {
        self.restart_by(Signal::SIGTERM, meanwhile);
    }

    /// As [`Self::restart_after`], ended by any signal.
    pub fn restart_by(&mut self, signal: Signal, meanwhile: impl FnOnce()) {
        self.daemon.end(signal);
        meanwhile();
        self.daemon = spawn(&self.config, &self.environment);
    }

    /// Its log, and with it that of every shim.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

/// The configuration of [`Containerd::start`].
pub fn config() -> PathBuf {
    isolation::workspace().join("tests/host/containerd.toml")
}

fn spawn(config: &Path, environment: &[(&'static str, String)]) -> Daemon {
    let mut command = Command::new(isolation::containerd_program("containerd"));
    command.arg("--config").arg(config).env("PATH", isolation::path_variable());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut daemon = Daemon::spawn("containerd", &mut command);
    wait::until("containerd accepts connections", || {
        assert!(daemon.is_running(), "containerd ended: {}", daemon.log());
        UnixStream::connect(SOCKET).ok()
    });
    daemon
}

/// `ctr` with the test's containerd namespace.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(isolation::containerd_program("ctr"));
    command.arg("--namespace").arg(isolation::containerd_namespace()).args(args);
    command
}

/// Runs `ctr` to its end, without input.
pub fn ctr(args: &[&str]) -> Output {
    process::run(&mut command(args))
}

/// Starts `ctr` with pipes to talk through.
pub fn ctr_piped(args: &[&str]) -> Console {
    Console::piped(&mut command(args))
}

/// Starts `ctr` on a terminal.
pub fn ctr_terminal(args: &[&str]) -> Console {
    Console::terminal(&command(args))
}
