//! The program that runs Linux containers: crun, or any other with runc's command line.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use containerd_shim_protos::shim::oci;
use micrun_firmware::host_conf::variables::LINUX_RUNTIME;
use micrun_trace::Span;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::streams::Ends;
use crate::error::{Error, Result};
use crate::oci::options::Options;
use crate::os::children::{self, Child};

/// The programs to look for when none is named, in this order.
const PROGRAMS: [&str; 2] = ["crun", "runc"];
/// Where it leaves the process id; containerd's own shim has the same name.
pub(super) const PID_FILE: &str = "init.pid";
/// The note in the bundle.
const NOTE: &str = "micrun-linux.json";
/// Where the program says what went wrong: its standard error is the container's.
const LOG: &str = "micrun-linux.log";

/// What crun before 1.14.3 says to a specification of version 1.2 (crun#1485), and what to do.
const TOO_NEW: &str = "unknown version specified";
const NEWER: &str = "; containerd's specification is newer than this crun, before 1.14.3: install a later one, or set \
    MICRUN_LINUX_RUNTIME=runc in containerd's environment";

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
        let program = program(options)?;
        let none = oci::Options::default();
        let options = if let Options::Runc(options) = options { options } else { &none };
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
///
/// Its command line is written here and not taken from the crate `runc`: that one takes a process and its limits apart
/// into types and so drops what it does not know, it has no checkpoint, and with `oci-spec` it makes this program
/// half as large again.
#[derive(Debug)]
pub(crate) struct Runtime {
    choice: Choice,
    id: String,
    bundle: PathBuf,
}

impl Runtime {
    /// The program that `choice` names.
    pub(crate) fn new(choice: Choice, id: &str, bundle: &Path) -> Self {
        Self { choice, id: id.to_owned(), bundle: bundle.to_owned() }
    }

    /// Makes the container, whose process waits for [`Self::start`], with the `flags` of the options.
    pub(super) async fn create(&self, process: Wiring<'_>, flags: &[&str]) -> Result<()> {
        let mut command = self.command("create");
        command.arg("--bundle").arg(&self.bundle).args(flags);
        process.wire(&mut command);
        command.arg(&self.id);
        self.run("create", command).await
    }

    pub(super) async fn start(&self) -> Result<()> {
        self.simple("start", &[]).await
    }

    /// Writes the state of all processes down. The options' `flags` are as the program knows them.
    pub(super) async fn checkpoint(&self, image: &Path, work: &Path, flags: &[String]) -> Result<()> {
        let mut command = self.command("checkpoint");
        command.arg("--image-path").arg(image).arg("--work-path").arg(work).args(flags).arg(&self.id);
        self.run_apart("checkpoint", command).await.map_err(without_criu)
    }

    /// Makes the container go on from a checkpoint.
    pub(super) async fn restore(
        &self,
        image: &Path,
        work: &Path,
        process: Wiring<'_>,
        flags: &[&str],
    ) -> Result<()> {
        let mut command = self.command("restore");
        command.arg("--detach").arg("--image-path").arg(image).arg("--work-path").arg(work);
        command.arg("--bundle").arg(&self.bundle).args(flags);
        process.wire(&mut command);
        command.arg(&self.id);
        self.run("restore", command).await.map_err(without_criu)
    }

    /// Runs a further process, described by the file `specification`.
    pub(super) async fn exec(&self, specification: &Path, process: Wiring<'_>) -> Result<()> {
        let mut command = self.command("exec");
        command.arg("--detach").arg("--process").arg(specification);
        process.wire(&mut command);
        command.arg(&self.id);
        self.run("exec", command).await
    }

    /// Signals all processes of the container.
    pub(super) async fn kill_all(&self, signal: u32) -> Result<()> {
        let mut command = self.command("kill");
        command.arg("--all").arg(&self.id).arg(signal.to_string());
        self.run_apart("kill", command).await
    }

    pub(super) async fn pause(&self) -> Result<()> {
        self.simple("pause", &[]).await
    }

    pub(super) async fn resume(&self) -> Result<()> {
        self.simple("resume", &[]).await
    }

    /// Sets the limits that a file names.
    pub(super) async fn update(&self, resources: &Path) -> Result<()> {
        let mut command = self.command("update");
        command.arg("--resources").arg(resources).arg(&self.id);
        self.run_apart("update", command).await
    }

    pub(super) async fn processes(&self) -> Result<Vec<u32>> {
        let mut command = self.command("ps");
        command.args(["--format", "json"]).arg(&self.id);
        let list = scratch()?;
        command.stdout(shared(&list)?);
        self.run_apart("ps", command).await?;
        // runc, written in Go, says `null` for an empty list.
        let list: Option<Vec<u32>> = serde_json::from_str(&text(&list)?)
            .map_err(|source| Error::Json { path: self.choice.program.clone(), source })?;
        Ok(list.unwrap_or_default())
    }

    /// Takes the container away; with `force` one that runs is killed.
    pub(crate) async fn delete(&self, force: bool) -> Result<()> {
        self.simple("delete", if force { &["--force"] } else { &[] }).await
    }

    async fn simple(&self, action: &'static str, flags: &[&str]) -> Result<()> {
        let mut command = self.command(action);
        command.args(flags).arg(&self.id);
        self.run_apart(action, command).await
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.choice.program);
        command
            .arg("--root")
            .arg(&self.choice.root)
            .arg("--log")
            .arg(self.bundle.join(LOG))
            .args(["--log-format", "json"])
            .args(self.choice.systemd_cgroup.then_some("--systemd-cgroup"))
            .arg(action)
            // It is systemd's to the shim, if to anybody.
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        command
    }

    /// Runs the program to its end, its streams being those of the process that it makes.
    async fn run(&self, action: &'static str, command: Command) -> Result<()> {
        self.finish(action, command, None).await
    }

    /// Runs the program to its end, apart from any container's streams.
    async fn run_apart(&self, action: &'static str, mut command: Command) -> Result<()> {
        let said = scratch()?;
        command.stderr(shared(&said)?);
        self.finish(action, command, Some(said)).await
    }

    async fn finish(&self, action: &'static str, command: Command, said: Option<File>) -> Result<()> {
        let program = self.choice.program.file_name().unwrap_or_default();
        let span = Span::client(|| format!("{} {action}", program.display()).into())
            .with("container.id", self.id.as_str());
        span.around(self.run_to_its_end(action, command, said)).await
    }

    async fn run_to_its_end(
        &self,
        action: &'static str,
        mut command: Command,
        said: Option<File>,
    ) -> Result<()> {
        let _hold = children::hold();
        let failed = |reason: String| Error::Runtime { action, id: self.id.clone(), reason };
        let log = self.bundle.join(LOG);
        let said_before = std::fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let mut child = command.spawn().map_err(Error::io("run", &self.choice.program))?;
        // Its copies of the container's streams must not outlive this moment, or the streams never end.
        drop(command);
        let status = child.wait().await.map_err(Error::io("wait for", &self.choice.program))?;
        if status.success() {
            return Ok(());
        }
        // Where it writes to the container's streams, only its log has its words.
        let said = said.map(|said| text(&said)).transpose()?.unwrap_or_default();
        let said = last_error(&log, said_before).or(Some(said)).filter(|said| !said.is_empty());
        let said = said.map(|said| if said == TOO_NEW { format!("{said}{NEWER}") } else { said });
        Err(failed(said.unwrap_or_else(|| format!("it ended with {status} and said nothing"))))
    }
}

/// What the program may write to instead of a pipe, which would wake the shim for each line, and for its end while the
/// program is still at work.
fn scratch() -> Result<File> {
    let file = memfd_create("runtime", MemfdFlags::CLOEXEC);
    file.map(File::from).map_err(|error| Error::io("make", "a file in memory")(error.into()))
}

fn shared(file: &File) -> Result<Stdio> {
    file.try_clone().map(Stdio::from).map_err(Error::io("share", "a file in memory"))
}

/// All that is in the file, without blanks around it.
fn text(mut file: &File) -> Result<String> {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.map_err(Error::io("read", "a file in memory"))?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// crun without CRIU has no such command.
fn without_criu(error: Error) -> Error {
    match error {
        Error::Runtime { reason, .. } if reason.starts_with("unknown command") => Error::Unimplemented(
            "the OCI runtime was built without CRIU, which checkpoints need; use one that has it, such as runc",
        ),
        error => error,
    }
}

/// What the runtime gives to a process that it makes.
#[derive(Debug)]
pub(super) struct Wiring<'a> {
    /// Its streams; nothing when it gets a terminal.
    pub ends: Ends,
    /// Where the runtime sends the terminal.
    pub console: Option<&'a Path>,
    /// Where the runtime writes the process id.
    pub pid_file: &'a Path,
}

impl Wiring<'_> {
    fn wire(self, command: &mut Command) {
        command.arg("--pid-file").arg(self.pid_file);
        if let Some(console) = self.console {
            command.arg("--console-socket").arg(console);
        }
        let Ends { stdin, stdout, stderr } = self.ends;
        let stdio = |end: Option<OwnedFd>| end.map_or_else(Stdio::null, Stdio::from);
        command.stdin(stdio(stdin)).stdout(stdio(stdout)).stderr(stdio(stderr));
    }
}

/// The program that the options name, or the environment, or that is installed.
pub(crate) fn program(options: &Options) -> Result<PathBuf> {
    let named =
        if let Options::Runc(options) = options { options.binary_name.clone() } else { String::new() };
    let named = Some(named).filter(|name| !name.is_empty());
    let named = named.or_else(|| std::env::var(LINUX_RUNTIME).ok()).filter(|name| !name.is_empty());
    let wanted = named.as_ref().map_or(PROGRAMS.to_vec(), |name| vec![name.as_str()]);
    let found = wanted.iter().find_map(|name| find(name).transpose()).transpose()?;
    found.ok_or_else(|| Error::NoRuntime(wanted.join("\" nor \"")))
}

/// A program on `PATH`, or the path itself; `None` if it is in no place, and all could be looked at.
fn find(name: &str) -> Result<Option<PathBuf>> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut hidden = None;
    for path in std::env::split_paths(&folders).map(|folder| folder.join(name)) {
        match path.metadata() {
            Ok(found) if found.is_file() => return Ok(Some(path)),
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                hidden.get_or_insert((path, e));
            }
            _ => {}
        }
    }
    match hidden {
        Some((path, e)) => Err(Error::io("look for", path)(e)),
        None => Ok(None),
    }
}

/// The last error in a log of JSON lines, beyond the bytes that were there `before`.
fn last_error(log: &Path, before: u64) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        level: String,
        msg: String,
    }
    let mut file = File::open(log).ok()?;
    file.seek(SeekFrom::Start(before)).ok()?;
    let text = io::read_to_string(file).ok()?;
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    lines.into_iter().find(|line| line.level == "error").map(|line| line.msg)
}

/// Reads the file in which the program leaves the process id.
pub(super) fn read_pid(path: &Path) -> Result<u32> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    let invalid = || Error::io("read", path)(io::Error::from(ErrorKind::InvalidData));
    text.trim().parse().map_err(|_| invalid())
}

/// Takes over the process that the program has left.
pub(super) fn adopt(pid_file: &Path) -> Result<Child> {
    let pid = read_pid(pid_file)?;
    Child::adopt(pid).map_err(Error::io("take over", format!("process {pid}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Root may look everywhere, so a path that leads nowhere stands for one that cannot be looked at.
    #[test]
    fn a_program_that_cannot_be_looked_for_is_not_absent() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::os::unix::fs::symlink(path("loop"), path("loop")).unwrap();
        std::fs::write(path("crun"), "").unwrap();
        assert_eq!(find(&path("none")).unwrap(), None);
        assert_eq!(find(&path("crun/below")).unwrap(), None);
        assert_eq!(find(&path("crun")).unwrap(), Some(path("crun").into()));
        let error = find(&path("loop")).unwrap_err();
        assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("loop")), "{error}");
    }
}
