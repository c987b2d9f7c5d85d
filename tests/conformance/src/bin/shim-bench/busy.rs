//! Other work, as of a user who compiles: as many loops as there are processors, of low priority, in a session of their own.

use std::process::{Child, Command};
use std::thread::available_parallelism;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How nice the loops are, in turn.
const NICE: [&str; 2] = ["10", "19"];
const LOOPS: &str = r#"for nice; do nice -n "$nice" sh -c 'while :; do :; done' & done; wait"#;

/// The loops; they end when this is dropped.
pub(crate) struct Busy(Child);

impl Busy {
    /// Starts them.
    pub(crate) fn start() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", LOOPS, "sh"]).args(NICE.iter().cycle().take(processors));
        Self(command.spawn().expect("util-linux and a shell are installed"))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        // The session's leader leads a process group of the same number.
        let group = i32::try_from(self.0.id()).expect("process ids fit");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        let _ = self.0.wait();
    }
}
