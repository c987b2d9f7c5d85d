//! Running the shim's binary, as containerd does.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use micrun_host_tests::wait;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::fifo::Reader;
use crate::reply::Reply;
use crate::task::{Task, V3};

/// What differs between one containerd's way to run the binary and another's.
#[derive(Clone, Debug, Default)]
pub struct Invocation {
    /// What it writes to the binary's stdin.
    pub stdin: Vec<u8>,
    /// Flags beside those of every version.
    pub flags: Vec<&'static str>,
    /// Environment beside that of every version; an empty value takes a variable away.
    pub environment: Vec<(&'static str, String)>,
}

impl Invocation {
    /// With an environment variable.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    /// With runtime options of a type.
    #[must_use]
    pub fn with_options(mut self, type_url: &str, value: &[u8]) -> Self {
        let any = Any { type_url: type_url.into(), value: value.to_vec(), ..Default::default() };
        self.stdin = any.write_to_bytes().expect("an Any can be encoded");
        self
    }
}

/// Runs a command in a directory to its end.
pub fn run(command: &mut Command, dir: &Path, stdin: &[u8]) -> Output {
    let mut child = command
        .current_dir(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    // A shim may end without having read it.
    let _ = pipe.write_all(stdin);
    drop(pipe);
    child.wait_with_output().expect("the output can be read")
}

/// A shim that answered `start`.
#[derive(Clone)]
pub struct Shim {
    /// Its answer.
    pub reply: Reply,
    /// The bundle that it was started in.
    pub bundle: PathBuf,
    /// What it logs.
    pub log: Reader,
}

impl Shim {
    /// A new connection, for the version of the Task API that its answer names: containerd 2.x's own shim has no other.
    pub fn connect(&self) -> Task {
        let task = Task::connect_to(&self.reply.address);
        if self.reply.version < 3 { task } else { task.speaking(V3) }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.reply.address.trim_start_matches("unix://"))
    }

    /// Its process, as it says itself.
    pub fn pid(&self) -> Pid {
        let pid = self.connect().connect("").expect("a shim answers Connect").shim_pid;
        Pid::from_raw(i32::try_from(pid).expect("process ids fit"))
    }

    /// Kills its process and waits until it is gone: a dying one may still take the connection by which `start` looks for it.
    pub fn kill(&self) {
        let pid = self.pid();
        self.signal(Signal::SIGKILL);
        wait::until("the shim is gone", || signal::kill(pid, None).is_err().then_some(()));
    }

    /// Signals its process.
    pub fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).expect("the shim runs");
    }
}
