//! A machine on which all is well, until a test breaks it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};

use micrun_firmware::qemu::BOARDS;
use serde_json::Value;

/// Every option that a check asks for.
const OPTIONS: &str = "NAMESPACES PID_NS NET_NS IPC_NS UTS_NS CGROUPS SECCOMP_FILTER TMPFS OVERLAY_FS UNIX98_PTYS UNIX \
    MEMCG CPUSETS CGROUP_SCHED FAIR_GROUP_SCHED CFS_BANDWIDTH CGROUP_PIDS CGROUP_FREEZER CGROUP_BPF BLK_CGROUP PSI USER_NS \
    KEYS POSIX_MQUEUE VETH BRIDGE REMOTEPROC RPMSG_VIRTIO RPMSG_NS RPMSG_TTY RPMSG_CTRL RPMSG_CHAR FW_LOADER";
pub(crate) const RELEASE: &str = "6.12.48-test";
pub(crate) const HANDLER: &str = "runtime_type = \"io.containerd.mica.v2\"\n\
    pod_annotations = [\"org.openeuler.micrun.*\"]\ncontainer_annotations = [\"org.openeuler.micrun.*\"]\n";
/// The processes of containerd and micad in its /proc.
pub(crate) const CONTAINERD: u32 = 100;
pub(crate) const MICAD: u32 = 200;

pub(crate) struct Machine {
    dir: tempfile::TempDir,
    micad: Option<Child>,
}

impl Machine {
    /// A sound one.
    pub(crate) fn new() -> Self {
        let mut machine = Self::without_micad();
        machine.start_micad();
        machine
    }

    /// A sound one, but for the daemon that is not there.
    pub(crate) fn without_micad() -> Self {
        let dir = tempfile::Builder::new().prefix("doctor").tempdir().unwrap();
        // A test may look at it as nobody.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let machine = Self { dir, micad: None };
        machine.kernel();
        machine.programs();
        let path = machine.bin().display().to_string();
        machine.process(CONTAINERD, "containerd", &["/usr/bin/containerd"], &[("PATH", &path)]);
        machine.write("etc/containerd/config.toml", &config(2, "io.containerd.grpc.v1.cri", HANDLER));
        machine
    }

    fn kernel(&self) {
        self.write("proc/sys/kernel/osrelease", &format!("{RELEASE}\n"));
        self.write("proc/sys/kernel/pid_max", "4194304\n");
        let options: Vec<_> = OPTIONS.split(' ').map(|name| format!("CONFIG_{name}=y\n")).collect();
        self.write(&format!("boot/config-{RELEASE}"), &options.concat());
        self.write("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io memory hugetlb pids\n");
    }

    fn programs(&self) {
        self.script("containerd", "echo containerd github.com/containerd/containerd 1.7.24 1.7.24-1");
        self.script("crun", "echo crun version 1.21; echo +SYSTEMD +CAP +SECCOMP +CRIU");
        let version = env!("CARGO_PKG_VERSION");
        self.script(
            "containerd-shim-mica-v2",
            &format!("echo 'containerd-shim-mica-v2 {version} (io.containerd.mica.v2)'"),
        );
        self.script("timedatectl", "echo yes");
        let mut emulators: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for board in BOARDS {
            emulators.entry(board.program).or_default().push(board.machine);
        }
        for (name, machines) in emulators {
            self.emulator(name, "10.0.2", &machines);
        }
    }

    /// An emulator with these machines.
    pub(crate) fn emulator(&self, name: &str, version: &str, machines: &[&str]) {
        let list: Vec<_> = machines.iter().map(|name| format!("echo '{name}  A machine'")).collect();
        let text = format!(
            "case $1 in --version) echo 'QEMU emulator version {version} (test)';; -machine) {};; esac",
            list.join(";")
        );
        program(&self.path("usr/bin").join(name), &text);
    }

    /// A script on PATH.
    pub(crate) fn script(&self, name: &str, text: &str) {
        program(&self.bin().join(name), text);
    }

    /// A process in its /proc.
    pub(crate) fn process(&self, pid: u32, name: &str, arguments: &[&str], environment: &[(&str, &str)]) {
        let dir = format!("proc/{pid}");
        self.write(&format!("{dir}/comm"), &format!("{name}\n"));
        self.write(&format!("{dir}/cmdline"), &(arguments.join("\0") + "\0"));
        let variables: Vec<_> = environment.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        self.write(&format!("{dir}/environ"), &variables.concat());
        self.write(&format!("{dir}/cgroup"), &format!("0::/system.slice/{name}.service\n"));
        self.limits(pid, "524288", "8388608");
        self.alive(pid, 4711);
    }

    /// The process's limits.
    pub(crate) fn limits(&self, pid: u32, files: &str, locked: &str) {
        let text = format!(
            "Limit                     Soft Limit           Hard Limit           Units\n\
             Max locked memory         65536                {locked}             bytes\n\
             Max open files            1024                 {files}              files\n"
        );
        self.write(&format!("proc/{pid}/limits"), &text);
    }

    /// Such a process lives since then.
    pub(crate) fn alive(&self, pid: u32, started: u64) {
        self.write(
            &format!("proc/{pid}/stat"),
            &format!("{pid} (a b) c) S {} {started} 0\n", "0 ".repeat(17) + "0"),
        );
    }

    /// Starts a real micad, which is ready when this returns.
    pub(crate) fn start_micad(&mut self) {
        fs::create_dir_all(self.path("etc/mica")).unwrap();
        let arguments = ["/usr/bin/micad"];
        self.process(MICAD, "micad", &arguments, &[]);
        let socket = self.path("notify");
        let notify = UnixDatagram::bind(&socket).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_micad"))
            .arg("--runtime-dir")
            .arg(self.path("run/mica"))
            .arg("--pid-file")
            .arg(self.path("run/micad.pid"))
            .arg("--conf-dir")
            .arg(self.path("no-clients"))
            .arg("--sysfs-root")
            .arg(self.root())
            .env("NOTIFY_SOCKET", &socket)
            .stderr(fs::File::create(self.path("log")).unwrap())
            .spawn()
            .unwrap();
        self.micad = Some(child);
        let mut message = [0; 64];
        let n = notify.recv(&mut message).unwrap();
        assert!(message[..n].starts_with(b"READY=1"));
        fs::remove_file(socket).unwrap();
    }

    /// Ends it.
    pub(crate) fn stop_micad(&mut self) {
        if let Some(mut child) = self.micad.take() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            child.wait().unwrap();
        }
    }

    /// What stands for `/`.
    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    /// The only directory of PATH.
    pub(crate) fn bin(&self) -> PathBuf {
        self.path("bin")
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }

    pub(crate) fn link(&self, path: &str, to: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(to, path).unwrap();
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        fs::set_permissions(self.path(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The command, which sees nothing of the real machine.
    pub(crate) fn mica(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mica"));
        command.env_clear().env("PATH", self.bin());
        command.args(["doctor", "--root"]).arg(self.root()).args(arguments);
        command
    }

    /// Examines it.
    pub(crate) fn examine(&self) -> Findings {
        Findings::of(&self.mica(&["--json"]).output().unwrap())
    }

    /// The same as a user who may read only what everybody may.
    pub(crate) fn examine_as_nobody(&self) -> Findings {
        const NOBODY: u32 = 65_534;
        let mut command = self.mica(&["--json"]);
        if rustix::process::geteuid().is_root() {
            // Nobody need be able to reach the place where it was built.
            let copy = self.path("mica");
            fs::copy(env!("CARGO_BIN_EXE_mica"), &copy).unwrap();
            let mut other = Command::new(copy);
            other.env_clear().env("PATH", self.bin()).args(command.get_args()).uid(NOBODY).gid(NOBODY);
            command = other;
        }
        Findings::of(&command.output().unwrap())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop_micad();
    }
}

/// Writes a script.
fn program(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Another file each time: one that is open for writing cannot be run.
    let new = path.with_extension("new");
    fs::write(&new, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, path).unwrap();
}

/// What was found, by check.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) status: i32,
    pub(crate) lines: BTreeMap<String, Value>,
}

impl Findings {
    fn of(output: &Output) -> Self {
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.stderr.is_empty(), "{error}");
        let lines: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        let lines = lines.into_iter().map(|line| (line["check"].as_str().unwrap().to_owned(), line));
        Self { status: output.status.code().unwrap(), lines: lines.collect() }
    }

    /// One check's result.
    #[track_caller]
    pub(crate) fn assert(&self, check: &str, level: &str, words: &str) {
        let line = self.lines.get(check).unwrap_or_else(|| panic!("no check {check}"));
        let found = line["found"].as_str().unwrap();
        assert!(
            line["level"] == level && found.contains(words),
            "{check}: not {level} with {words:?}: {line}"
        );
        assert_eq!(line["remedy"].is_null(), level == "ok", "{line}");
    }

    /// Nothing is as bad as a warning but these.
    #[track_caller]
    pub(crate) fn assert_only(&self, checks: &[&str]) {
        let bad = |line: &&Value| line["level"] == "warning" || line["level"] == "error";
        let bad: Vec<_> = self.lines.values().filter(bad).collect();
        let names: Vec<_> = bad.iter().map(|line| line["check"].as_str().unwrap()).collect();
        assert_eq!(names, checks, "{bad:#?}");
    }
}

/// A configuration of containerd, with a handler in this section.
pub(crate) fn config(version: u32, section: &str, handler: &str) -> String {
    format!("version = {version}\n[plugins.\"{section}\".containerd.runtimes.mica]\n{handler}")
}
