//! The same lives without a shim: what is left of a shim's times is its own share.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};

use libmica::{Client, CreateMessage, Launch};
use micrun_host_tests::{firmware, isolation};
use shim_conformance::bundle::Bundle;
use shim_conformance::subject::Program;
use shim_conformance::subjects::Runc;
use tokio::runtime::{Builder, Runtime};

use crate::samples::Samples;
use crate::way::fresh_id;

/// crun's command line, and nothing else.
pub(crate) struct Crun(Bundle);

impl Crun {
    /// With the container that the shims run.
    pub(crate) fn new() -> Self {
        Self(Bundle::make(&Runc, &fresh_id(), Program::Shell, &[]))
    }

    /// Takes the time of Create, Start, Kill and Delete.
    pub(crate) fn live(&self, times: &mut [Samples; 4]) {
        let [create, start, kill, delete] = times;
        let pid_file = self.0.path.join("pid");
        let stdin = create.time(|| self.create(&pid_file));
        let id = &self.0.id;
        start.time(|| crun(&["start", id]));
        let pid = fs::read_to_string(&pid_file).expect("crun has written it");
        let process = PathBuf::from(format!("/proc/{pid}"));
        kill.time(|| {
            crun(&["kill", id, "KILL"]);
            while process.exists() {
                std::thread::yield_now();
            }
        });
        delete.time(|| crun(&["delete", id]));
        drop(stdin);
    }

    /// The container's shell ends with its input.
    fn create(&self, pid_file: &Path) -> Option<ChildStdin> {
        let mut child = Command::new("crun")
            .args(["create", "--pid-file"])
            .arg(pid_file)
            .arg("--bundle")
            .arg(&self.0.path)
            .arg(&self.0.id)
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

/// The name of the daemon's client.
const ID: &str = "bare";

/// The mica protocol and a cgroup, and nothing else.
pub(crate) struct Micad {
    client: Client,
    runtime: Runtime,
    groups: Vec<PathBuf>,
}

impl Micad {
    /// A client of the daemon that is on the stage.
    pub(crate) fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let root = Path::new("/sys/fs/cgroup");
        let controllers: &[&str] =
            if root.join("memory").is_dir() { &["cpu", "cpuset", "memory", "pids"] } else { &["."] };
        let group = Path::new(&isolation::containerd_namespace()).join(ID);
        let groups = controllers.iter().map(|controller| root.join(controller).join(&group)).collect();
        Self { client: Client::new("/run/mica"), runtime, groups }
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
        let launch = create.time(|| {
            self.runtime.block_on(client.create(&message)).expect("create");
            Launch {
                cgroups: self.groups.iter().map(|group| make_group(group)).collect(),
                ..Launch::default()
            }
        });
        start.time(|| self.runtime.block_on(client.launch(ID, &launch))).expect("start");
        kill.time(|| self.runtime.block_on(client.stop(ID))).expect("stop");
        delete.time(|| {
            self.runtime.block_on(client.remove(ID)).expect("rm");
            self.groups.iter().for_each(|group| fs::remove_dir(group).expect("the cgroup is empty"));
        });
    }
}

/// Makes a cgroup; answers the file by which a process joins it.
fn make_group(path: &Path) -> OwnedFd {
    fs::create_dir_all(path).expect("the cgroup can be made");
    let root = path.ancestors().nth(2).expect("it is two levels deep");
    for file in ["cpuset.cpus", "cpuset.mems"].map(Path::new) {
        let Ok(all) = fs::read(root.join(file)) else { continue };
        for level in [path.parent().expect("as above"), path] {
            fs::write(level.join(file), &all).expect("a cgroup may use what its parent may");
        }
    }
    File::options().write(true).open(path.join("cgroup.procs")).expect("root may move processes").into()
}
