//! What there is to see of clients: `ps`, `inspect`.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use libmica::Launch;
use micrun_host_tests::isolation;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Daemon, mica};
use crate::tiny_elf;

/// Runs `mica` and gives its stdout.
pub(crate) fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = mica(daemon, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn document(daemon: &Daemon, arguments: &[&str]) -> Value {
    serde_json::from_str(&said(daemon, arguments)).unwrap()
}

/// The client's row of `ps`.
pub(crate) fn row(daemon: &Daemon, name: &str) -> Value {
    let table = document(daemon, &["ps", "--json"]);
    let rows = table["clients"].as_array().unwrap();
    rows.iter().find(|row| row["name"] == name).unwrap().clone()
}

#[tokio::test]
async fn ps_shows_what_clients_use_and_how_they_ended() {
    let mut daemon = Daemon::start();
    let head = "NAME  STATE  PEDESTAL  CPUS  UPTIME  MEMORY  CONSOLE  LOST  STARTS  LAST EXIT\n";
    assert_eq!(said(&daemon, &["ps"]), head);
    let client = daemon.boot("seven", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("seven").await.unwrap();
    client.start("seven").await.unwrap();
    client.wait("seven").await.unwrap();
    daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let text = said(&daemon, &["ps"]);
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1][..3], ["echo", "Running", "qemu"], "{text}");
    assert!(lines[1].contains(&"MiB"), "{text}");
    assert_eq!(lines[2][..6], ["seven", "Offline", "qemu", "-", "-", "-"], "{text}");
    assert_eq!(lines[2][6..13], ["0.0", "KiB", "0.0", "KiB", "2", "7", "exited,"], "{text}");
    assert!(lines[2].ends_with(&["ago"]), "{text}");
    let echo = row(&daemon, "echo");
    let stats = daemon.client().stats("echo").await.unwrap();
    assert_eq!(echo["pid"], stats.pid);
    assert_eq!((&echo["usage"]["of"], &echo["starts"]), (&"process".into(), &1.into()));
    assert!(echo["usage"]["memory_bytes"].as_u64().unwrap() > 1 << 20, "{echo}");
    assert!(echo["usage"]["uptime_usec"].as_u64().unwrap() > 0, "{echo}");
    assert_eq!(row(&daemon, "seven")["usage"], Value::Null);
    // Starts are counted over daemons.
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!((&row(&daemon, "seven")["starts"], &row(&daemon, "echo")["starts"]), (&2.into(), &1.into()));
}

/// A cgroup of this test, in the hierarchies that count.
struct Cgroup(Vec<PathBuf>);

impl Cgroup {
    /// `None` where there are no cgroups that a test could make.
    fn make() -> Option<Self> {
        let name = format!("micad-test-{}", std::process::id());
        let root = Path::new("/sys/fs/cgroup");
        let parents = [root.join("memory"), root.join("cpuacct")];
        let parents =
            if parents.iter().all(|dir| dir.is_dir()) { parents.to_vec() } else { vec![root.into()] };
        let dirs: Vec<_> = parents.iter().map(|dir| dir.join(&name)).collect();
        let made = Self(dirs);
        let counts = made.0.iter().all(|dir| fs::create_dir(dir).is_ok()) && made.memory().is_some();
        counts.then_some(made)
    }

    fn memory(&self) -> Option<u64> {
        let files = ["memory.usage_in_bytes", "memory.current"];
        let text = files.iter().find_map(|file| fs::read_to_string(self.0[0].join(file)).ok())?;
        text.trim().parse().ok()
    }

    fn launch(&self) -> Launch {
        let open = |dir: &PathBuf| File::options().write(true).open(dir.join("cgroup.procs")).unwrap().into();
        Launch { cgroups: self.0.iter().map(open).collect(), ..Launch::default() }
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for dir in &self.0 {
            let _ = fs::remove_dir(dir);
        }
    }
}

#[tokio::test]
async fn what_a_cgroup_has_counted_is_what_ps_says() {
    let Some(cgroup) = Cgroup::make() else {
        eprintln!("skipped: no cgroup of its own for a test");
        return;
    };
    let mut daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    client.launch("x", &cgroup.launch()).await.unwrap();
    daemon.console("x").read_to("H");
    // Nothing is to change between the looks.
    client.pause("x").await.unwrap();
    let check = |daemon: &Daemon| loop {
        let before = cgroup.memory().unwrap();
        let seen = row(daemon, "x");
        if cgroup.memory() == Some(before) {
            assert_eq!(seen["usage"]["of"], "cgroup", "{seen}");
            assert_eq!(seen["usage"]["memory_bytes"], before, "{seen}");
            return;
        }
    };
    check(&daemon);
    let inspected = document(&daemon, &["inspect", "x"]);
    assert!(inspected["cgroup"].as_str().unwrap().contains("micad-test-"), "{inspected}");
    // A later daemon knows as well whose numbers count.
    daemon.end(Signal::KILL);
    daemon.launch();
    check(&daemon);
    client.stop("x").await.unwrap();
}

#[tokio::test]
async fn inspect_tells_everything_of_a_client_that_runs() {
    let daemon = Daemon::start();
    let firmware = tiny_elf::echo(daemon.dir());
    let file = daemon.path("x.conf");
    let text = format!(
        "[Mica]\nName=x\nCPU=0\nClientPath={}\nPedestal=qemu\n[Qemu]\nMemory=48\n",
        firmware.display()
    );
    fs::write(&file, text).unwrap();
    said(&daemon, &["create", file.to_str().unwrap()]);
    said(&daemon, &["start", "x"]);
    let seen = document(&daemon, &["inspect", "x"]);
    let pid = daemon.client().stats("x").await.unwrap().pid;
    for (pointer, expected) in [
        ("/name", "x".into()),
        ("/state", "Running".into()),
        ("/pedestal", "qemu".into()),
        ("/conf/path", firmware.to_str().unwrap().into()),
        ("/conf/cpu", "0".into()),
        ("/qemu/memory", 48.into()),
        ("/settings/memory", "48".into()),
        ("/settings/cpu", "cortex-a53".into()),
        ("/process/pid", pid.into()),
        ("/consoles/0/name", "rpmsg-tty".into()),
        ("/starts", 1.into()),
        ("/usage/of", "process".into()),
        ("/history", Value::Array(Vec::new())),
    ] {
        assert_eq!(seen.pointer(pointer), Some(&expected), "{pointer} in {seen:#}");
    }
    assert!(seen["settings"]["machine"].as_str().unwrap().starts_with("virt"), "{seen:#}");
    assert!(seen["began_at"].as_str().unwrap().ends_with('Z'), "{seen:#}");
    assert!(seen["process"]["command"][0].as_str().unwrap().contains("qemu-system"), "{seen:#}");
}

/// A daemon that has nothing but upstream's commands, by its answers.
#[test]
fn upstreams_daemon_cannot_and_the_command_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for (socket, answer) in [
        ("mica-create.socket", "No such file: MICA-FAILED"),
        ("x.socket", "Invalid command: inspectMICA-FAILED"),
    ] {
        let listener = UnixListener::bind(dir.path().join(socket)).unwrap();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                assert!(stream.read(&mut [0; 64]).unwrap() > 0, "a command comes in one write");
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
    }
    for arguments in [&["ps"][..], &["top"], &["events"], &["inspect", "x"]] {
        let mut command = Command::new(isolation::binary("mica"));
        let output = command.arg("--runtime-dir").arg(dir.path()).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(error.contains("this mica daemon does not support `"), "{arguments:?}: {error}");
    }
}
