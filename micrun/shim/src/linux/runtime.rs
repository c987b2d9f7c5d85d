//! The program that runs Linux containers: crun, or any other with runc's command line.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::shim::oci;
use runc::asynchronous::Spawner;
use runc::options::{CreateOpts, DeleteOpts, ExecOpts, GlobalOpts, KillOpts};
use runc::{Command, Runc};
use serde::{Deserialize, Serialize};

use crate::children;
use crate::error::{Error, Result};
use crate::options::Options;

/// The programs to look for when none is named, in this order.
const PROGRAMS: [&str; 2] = ["crun", "runc"];
/// Names another one, where no runtime option can.
const VARIABLE: &str = "MICRUN_LINUX_RUNTIME";
/// The note in the bundle.
const NOTE: &str = "micrun-linux.json";
/// Where the program says what went wrong: its standard error is the container's.
const LOG: &str = "micrun-linux.log";

/// How the program is called for one container: noted in the bundle, as cleaning up needs the same.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Choice {
    /// The program.
    program: PathBuf,
    /// Where it keeps its state.
    root: PathBuf,
    /// Whether systemd makes the cgroups.
    systemd_cgroup: bool,
}

impl Choice {
    /// Follows the options, then the environment, then what is installed. `state` is the folder for all containers
    /// of a namespace.
    pub(super) fn new(options: &Options, state: &Path, namespace: &str, cgroups_path: &str) -> Result<Self> {
        let none = oci::Options::default();
        let options = if let Options::Runc(options) = options { options } else { &none };
        let named = Some(options.binary_name.clone()).filter(|name| !name.is_empty());
        let named = named.or_else(|| std::env::var(VARIABLE).ok()).filter(|name| !name.is_empty());
        let wanted = named.as_ref().map_or(PROGRAMS.to_vec(), |name| vec![name.as_str()]);
        let found = wanted.iter().find_map(runc::utils::binary_path);
        let program = found.ok_or_else(|| Error::NoRuntime(wanted.join("` nor `")))?;
        let root = if options.root.is_empty() { state } else { Path::new(&options.root) };
        // Only systemd's form has colons: whoever made it wants systemd to make the cgroup.
        let systemd_cgroup = options.systemd_cgroup || cgroups_path.split(':').count() == 3;
        Ok(Self { program, root: root.join(namespace), systemd_cgroup })
    }

    /// Takes it down in the bundle.
    pub(super) fn write(&self, bundle: &Path) -> Result<()> {
        let path = bundle.join(NOTE);
        let text = serde_json::to_vec(self).map_err(|source| Error::Json { path: path.clone(), source })?;
        std::fs::write(&path, text).map_err(Error::io("write", path))
    }

    /// What was taken down; `None` when no Linux container lives in this bundle.
    pub(crate) fn read(bundle: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(bundle.join(NOTE)).ok()?).ok()
    }
}

/// The program, for one container.
#[derive(Debug)]
pub(crate) struct Runtime {
    client: Runc,
    id: String,
    bundle: PathBuf,
}

impl Runtime {
    /// The program that `choice` names.
    pub(crate) fn new(choice: &Choice, id: &str, bundle: &Path) -> Result<Self> {
        let mut options = GlobalOpts::new()
            .command(&choice.program)
            .root(&choice.root)
            .systemd_cgroup(choice.systemd_cgroup)
            .log(bundle.join(LOG))
            .log_json();
        options.custom_spawner(Arc::new(Launcher));
        let client = options.build().map_err(|_| Error::NoRuntime(choice.program.display().to_string()))?;
        Ok(Self { client, id: id.to_owned(), bundle: bundle.to_owned() })
    }

    pub(super) async fn create(&self, options: CreateOpts) -> Result<()> {
        let done = self.client.create(&self.id, &self.bundle, Some(&options)).await;
        done.map(drop).map_err(self.explain("create"))
    }

    pub(super) async fn start(&self) -> Result<()> {
        self.client.start(&self.id).await.map(drop).map_err(self.explain("start"))
    }

    pub(super) async fn exec(&self, process: &oci_spec::runtime::Process, options: ExecOpts) -> Result<()> {
        self.client.exec(&self.id, process, Some(&options)).await.map_err(self.explain("exec"))
    }

    pub(super) async fn kill(&self, signal: u32, all: bool) -> Result<()> {
        let options = KillOpts::new().all(all);
        self.client.kill(&self.id, signal, Some(&options)).await.map_err(self.explain("kill"))
    }

    pub(super) async fn pause(&self) -> Result<()> {
        self.client.pause(&self.id).await.map_err(self.explain("pause"))
    }

    pub(super) async fn resume(&self) -> Result<()> {
        self.client.resume(&self.id).await.map_err(self.explain("resume"))
    }

    pub(super) async fn update(&self, resources: &oci_spec::runtime::LinuxResources) -> Result<()> {
        self.client.update(&self.id, resources).await.map_err(self.explain("update"))
    }

    pub(super) async fn processes(&self) -> Result<Vec<u32>> {
        let pids = self.client.ps(&self.id).await.map_err(self.explain("ps"))?;
        Ok(pids.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect())
    }

    /// Takes the container away; with `force` one that runs is killed.
    pub(crate) async fn delete(&self, force: bool) -> Result<()> {
        let options = DeleteOpts::new().force(force);
        self.client.delete(&self.id, Some(&options)).await.map_err(self.explain("delete"))
    }

    /// The program's own words, of its log or of what it printed.
    fn explain(&self, action: &'static str) -> impl FnOnce(runc::error::Error) -> Error {
        move |error| {
            let logged = last_error(&self.bundle.join(LOG));
            let reason = match error {
                runc::error::Error::CommandFailed { status, stdout, stderr } => logged
                    .or_else(|| Some((stdout + &stderr).trim().to_owned()).filter(|text| !text.is_empty()))
                    .unwrap_or_else(|| format!("it ended with {status} and said nothing")),
                error => error.to_string(),
            };
            Error::Runtime { action, id: self.id.clone(), reason }
        }
    }
}

/// The last error in a log of JSON lines.
fn last_error(log: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let text = std::fs::read_to_string(log).ok()?;
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.into_iter().find(|line| line.level == "error").map(|line| line.msg)
}

/// Runs the program to its end.
#[derive(Debug)]
struct Launcher;

#[async_trait]
impl Spawner for Launcher {
    async fn execute(&self, mut command: Command) -> runc::Result<(ExitStatus, u32, String, String)> {
        let _hold = children::hold();
        let child = command.spawn().map_err(runc::error::Error::ProcessSpawnFailed)?;
        // Its copies of the container's streams must not outlive this moment, or the streams never end.
        drop(command);
        let pid = child.id().unwrap_or_default();
        let output = child.wait_with_output().await.map_err(runc::error::Error::InvalidCommand)?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ok((output.status, pid, text(output.stdout), text(output.stderr)))
    }
}

/// Reads the file in which the program leaves the process id.
pub(super) fn read_pid(path: &Path) -> Result<u32> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let invalid = || Error::io("read", path)(io::Error::from(ErrorKind::InvalidData));
    text.trim().parse().map_err(|_| invalid())
}
