//! A program that runs beside the test.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::isolation;
use crate::process::{describe, wait_bounded};

/// A running program whose output goes to a log, which is shown when the test fails.
pub struct Daemon {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; its log is appended to that of an earlier run of the same name.
    pub fn spawn(name: &'static str, command: &mut Command) -> Self {
        let log = isolation::state_dir().join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&log).expect("the log can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file can be shared"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run `{}`: {error}", describe(command)));
        Self { name, child, log }
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Sends a signal and waits for the end.
    pub fn end(&mut self, signal: Signal) -> i32 {
        let pid = i32::try_from(self.child.id()).expect("process ids fit");
        signal::kill(Pid::from_raw(pid), signal).expect("the daemon runs");
        wait_bounded(&mut self.child, self.name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("----- log of {}", self.name);
            // containerd says this of each of some sixty, which hides the rest.
            let log = self.log();
            log.lines().filter(|line| !line.contains("loading plugin")).for_each(|line| eprintln!("{line}"));
        }
    }
}
