//! `mica doctor` beside a real containerd, a real micad and disks that are full.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::MICA;
use micrun_host_tests::process::{self, Output};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, containerd, isolation, wait};
use nix::mount::{MsFlags, mount, umount};
use nix::sys::signal::Signal;
use serde_json::Value;

const SHIM: &str = "containerd-shim-mica-v2";

/// What was found, by check.
struct Findings(BTreeMap<String, Value>);

impl Findings {
    fn of(arguments: &[&str]) -> Self {
        let output = doctor(&[&["--json"], arguments].concat());
        let lines: Vec<Value> = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output}"));
        Self(lines.into_iter().map(|line| (line["check"].as_str().unwrap().to_owned(), line)).collect())
    }

    /// Whether a check has this level and these words.
    fn has(&self, check: &str, level: &str, words: &str) -> bool {
        let line = &self.0[check];
        line["level"] == level && line["found"].as_str().unwrap().contains(words)
    }

    #[track_caller]
    fn assert(&self, check: &str, level: &str, words: &str) {
        assert!(self.has(check, level, words), "not {level} with {words:?}: {}", self.0[check]);
    }
}

fn doctor(arguments: &[&str]) -> Output {
    let mut command = Command::new(isolation::binary("mica"));
    command.arg("doctor").args(arguments).env("PATH", isolation::path_variable());
    process::run(&mut command)
}

#[test]
fn a_machine_that_runs_containers() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    let findings = Findings::of(&[]);
    findings.assert("micad.daemon", "ok", "micad");
    findings.assert("containerd.process", "ok", "process");
    findings.assert("containerd.config", "ok", "tests/host/containerd.toml, version 2");
    // The tests' containerd has no CRI plugin.
    findings.assert("containerd.registration", "note", "ctr and nerdctl find the shim");
    findings.assert("containerd.shim", "ok", "on containerd's PATH");
    findings.assert("permissions.runtime", "ok", "/run/mica");
    for check in ["leftovers.clients", "leftovers.containers", "leftovers.sockets"] {
        findings.assert(check, "ok", "none");
    }
    // Cgroups are the machine's, and others may have left some.
    let cgroups = findings.0["leftovers.cgroups"]["found"].to_string();
    assert!(!cgroups.contains(&isolation::containerd_namespace()), "{cgroups}");
    for check in
        ["kernel.version", "qemu.programs", "qemu.machines", "containerd.program", "space.run", "clock.time"]
    {
        let level = &findings.0[check]["level"];
        assert!(level == "ok" || level == "note", "{}", findings.0[check]);
    }
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_shim_that_died_while_containerd_was_away() {
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    host.containerd.restart_by(Signal::SIGKILL, || {
        Process::running(SHIM)[0].kill();
        wait::until("the shim is gone", || Process::running(SHIM).is_empty().then_some(()));
        let findings = Findings::of(&[]);
        findings.assert("containerd.process", "warning", "no process");
        findings.assert("leftovers.containers", "warning", "container rtos, whose shim");
        findings.assert("leftovers.clients", "ok", "none");
    });
    // containerd cleans up when it is back.
    wait::until("nothing is left", || {
        Findings::of(&[]).has("leftovers.containers", "ok", "none").then_some(())
    });
    // Its FIFOs are what a containerd that was killed leaves itself.
    host.delete_container("rtos");
}

#[test]
fn firmware_without_a_daemon() {
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    host.micad.as_mut().unwrap().restart_by(Signal::SIGKILL, || {
        let findings = Findings::of(&[]);
        findings.assert("micad.daemon", "error", "no process is a micad");
        findings.assert("leftovers.clients", "note", "rtos runs in process");
        findings.assert("leftovers.sockets", "note", "/run/mica/rtos.socket is of a daemon that was killed");
    });
    Findings::of(&[]).assert("leftovers.clients", "ok", "none");
    host.remove("rtos");
    host.assert_clean();
}

/// Nothing of what the firmware has said, nor of any environment.
#[test]
fn an_archive_of_a_machine_that_runs_containers() {
    let host = Host::start();
    let arguments =
        ["run", "--runtime", MICA, "--env", "SECRET=hunter2", micrun_host_tests::host::DEMO, "rtos"];
    let mut console = containerd::ctr_piped(&arguments);
    console.send("echo hunter2\r");
    console.expect("hunter2");
    let file = isolation::state_dir().join("support.tar.gz");
    doctor(&["--bundle", file.to_str().unwrap()]);
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(&file).unwrap()));
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        for word in ["hunter2", "MICRUN_TEST", "micrun> "] {
            assert!(!text.contains(word), "{word} in {name}: {text}");
        }
        if name.ends_with("tasks.txt") {
            assert_eq!(text, format!("{} rtos\n", isolation::containerd_namespace()));
        }
        if name.ends_with("clients.json") {
            let list: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(list.pointer("/clients/0/name"), Some(&"rtos".into()), "{text}");
        }
        names.push(name);
    }
    assert!(names.len() >= 8, "{names:?}");
    fs::remove_file(file).unwrap();
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    host.assert_clean();
}

/// A directory that stands for `/`, and a small disk in it.
struct Disk {
    root: PathBuf,
    at: PathBuf,
}

impl Disk {
    fn mount(place: &str, flags: MsFlags, options: &str) -> Self {
        isolation::require();
        let root = isolation::state_dir().join("root");
        let at = root.join(place);
        fs::create_dir_all(&at).unwrap();
        mount(Some("tmpfs"), &at, Some("tmpfs"), flags, Some(options)).unwrap();
        Self { root, at }
    }

    fn examine(&self) -> Findings {
        Findings::of(&["--root", self.root.to_str().unwrap()])
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        umount(&self.at).unwrap();
    }
}

#[test]
fn a_disk_without_room() {
    let examine = |place: &str, flags: MsFlags, options: &str| Disk::mount(place, flags, options).examine();
    let writable = MsFlags::empty();
    examine("run", writable, "size=256k").assert("space.run", "error", "/run: 256 KiB free");
    examine("run", writable, "size=8m").assert("space.run", "warning", "/run: 8 MiB free");
    examine("run", writable, "size=64m").assert("space.run", "ok", "/run: 64 MiB free");
    examine("run", writable, "size=64m,nr_inodes=1").assert("space.run", "error", "no further file fits");
    examine("var/lib/containerd", writable, "size=1m").assert(
        "space.store",
        "error",
        "/var/lib/containerd: 1024 KiB free",
    );
    examine("var/lib/containerd", writable, "size=100m").assert("space.store", "warning", "100 MiB free");
    let read_only = examine("var", MsFlags::MS_RDONLY, "size=1g");
    read_only.assert("space.store", "error", "/var is on a read-only file system");
}

/// The oracle: what containerd itself makes of the files.
#[test]
fn containerd_reads_its_configuration_as_the_doctor_does() {
    isolation::require();
    let root = isolation::state_dir().join("oracle");
    let dir = root.join("etc/containerd");
    fs::create_dir_all(dir.join("conf.d")).unwrap();
    let cri = r#"plugins."io.containerd.grpc.v1.cri""#;
    let handler = format!(
        "[{cri}.containerd.runtimes.mica]\nruntime_type = \"io.containerd.mica.v2\"\n\
         pod_annotations = [\"org.openeuler.micrun.*\"]\ncontainer_annotations = [\"org.openeuler.micrun.*\"]\n"
    );
    let imports = "version = 2\nimports = [\"conf.d/10-drop-in.toml\"]\n";
    let plain = "version = 2\n".to_owned();
    for (main, drop_in) in [
        (format!("{plain}{handler}"), plain.clone()),
        (imports.to_owned(), format!("{plain}{handler}")),
        (imports.to_owned(), plain.clone()),
        (format!("{imports}{handler}"), plain.clone()),
        (format!("{imports}{handler}"), format!("{plain}[{cri}]\nsandbox_image = \"localhost/pause:1\"\n")),
    ] {
        fs::write(dir.join("config.toml"), &main).unwrap();
        fs::write(dir.join("conf.d/10-drop-in.toml"), &drop_in).unwrap();
        let knows = dump(&dir.join("config.toml")).success().contains("io.containerd.mica.v2");
        let findings = Findings::of(&["--root", root.to_str().unwrap()]);
        findings.assert("containerd.config", "ok", "/etc/containerd/config.toml");
        let registered = findings.has("containerd.registration", "ok", "handler mica");
        assert_eq!(registered, knows, "{main}\n{drop_in}\n{}", findings.0["containerd.registration"]);
    }
    // What containerd does not start with. (Some print their defaults in place of a file that is broken.)
    for broken in ["version = 2\nthis is no TOML\n", "version = 2\nimports = [\"/no/such/file.toml\"]\n"] {
        fs::write(dir.join("config.toml"), broken).unwrap();
        let mut command = Command::new(isolation::containerd_program("containerd"));
        process::run(command.arg("--config").arg(dir.join("config.toml"))).failure();
        Findings::of(&["--root", root.to_str().unwrap()]).assert("containerd.config", "error", "/");
    }
    fs::remove_dir_all(root).unwrap();
}

fn dump(config: &Path) -> Output {
    let mut command = Command::new(isolation::containerd_program("containerd"));
    process::run(command.arg("--config").arg(config).args(["config", "dump"]))
}
