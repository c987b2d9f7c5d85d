//! The same lives without a shim: what is left of a shim's times is its own share.

use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use libmica::{Client, CreateMessage};
use micrun_host_tests::firmware;
use shim_conformance::bundle::Bundle;
use shim_conformance::subject::Program;
use shim_conformance::subjects::Runc;
use tokio::runtime::{Builder, Runtime};

use crate::samples::Samples;

const ID: &str = "bare";

/// crun's command line, and nothing else.
pub(crate) struct Crun(Bundle);

impl Crun {
    /// With the container that the shims run.
    pub(crate) fn new() -> Self {
        Self(Bundle::make(&Runc, ID, Program::Shell, &[]))
    }

    /// Takes the time of Create, Start, Kill and Delete.
    pub(crate) fn live(&self, times: &mut [Samples; 4]) {
        let [create, start, kill, delete] = times;
        let pid_file = self.0.path.join("pid");
        let stdin = create.time(|| self.create(&pid_file));
        start.time(|| crun(&["start", ID]));
        let pid = std::fs::read_to_string(&pid_file).expect("crun has written it");
        let process = PathBuf::from(format!("/proc/{pid}"));
        kill.time(|| {
            crun(&["kill", ID, "KILL"]);
            while process.exists() {
                std::thread::yield_now();
            }
        });
        delete.time(|| crun(&["delete", ID]));
        drop(stdin);
    }

    /// The container's shell ends with its input.
    fn create(&self, pid_file: &Path) -> Option<ChildStdin> {
        let mut child = Command::new("crun")
            .args(["create", "--pid-file"])
            .arg(pid_file)
            .arg("--bundle")
            .arg(&self.0.path)
            .arg(ID)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("crun is installed");
        let stdin = child.stdin.take();
        assert!(child.wait().expect("it is a child").success(), "crun create failed");
        stdin
    }
}

fn crun(args: &[&str]) {
    let status = Command::new("crun").args(args).stdin(Stdio::null()).status().expect("crun is installed");
    assert!(status.success(), "crun {args:?} failed");
}

/// The mica protocol, and nothing else.
pub(crate) struct Micad {
    client: Client,
    runtime: Runtime,
}

impl Micad {
    /// A client of the daemon that is on the stage.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        Self { client: Client::new("/run/mica"), runtime }
    }

    /// Takes the time of what the shim asks for at Create, Start, Kill and Delete.
    pub(crate) fn live(&self, times: &mut [Samples; 4]) {
        let message = CreateMessage {
            name: ID.into(),
            path: firmware::demo(),
            pedestal: "qemu".into(),
            memory: 64,
            ..CreateMessage::default()
        };
        let [create, start, kill, delete] = times;
        let client = &self.client;
        create.time(|| self.runtime.block_on(client.create(&message))).expect("create");
        start.time(|| self.runtime.block_on(client.start(ID))).expect("start");
        kill.time(|| self.runtime.block_on(client.stop(ID))).expect("stop");
        delete.time(|| self.runtime.block_on(client.remove(ID))).expect("rm");
    }
}
