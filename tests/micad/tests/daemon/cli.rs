//! The `mica` command.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};

use micrun_host_tests::isolation;
use rustix::process::Signal;

use crate::harness::{Daemon, eventually, mica};
use crate::tiny_elf;

/// Runs `mica` and gives its stdout.
fn ok(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = mica(daemon, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn conf(dir: &Path, name: &str, firmware: &Path, more: &str) -> String {
    let path = dir.join(format!("{name}.conf"));
    let text =
        format!("[Mica]\nName={name}\nCPU=3\nClientPath={}\nPedestal=qemu\n{more}", firmware.display());
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_commands_from_create_to_rm() {
    let daemon = Daemon::start();
    let file = conf(daemon.dir(), "rtos", &tiny_elf::exits(daemon.dir(), 0, 7), "[Qemu]\nMemory=32\n");
    ok(&daemon, &["create", &file]);
    let header = format!("{:<30}{:<20}{:<20}{}\n", "Name", "Assigned CPU", "State", "Service");
    let line = format!("{:<30}{:<20}{:<20}\n", "rtos", "3", "Offline");
    assert_eq!(ok(&daemon, &["status"]), format!("{header}{line}"));
    ok(&daemon, &["start", "rtos"]);
    assert!(ok(&daemon, &["wait", "rtos"]).starts_with("status 7 at "));
    let exit: serde_json::Value = serde_json::from_str(&ok(&daemon, &["wait", "rtos", "--json"])).unwrap();
    assert_eq!((&exit["status"], &exit["reason"]), (&7.into(), &"exited".into()));
    let status: serde_json::Value =
        serde_json::from_str(&ok(&daemon, &["status", "rtos", "--json"])).unwrap();
    assert_eq!(status.pointer("/clients/0/state"), Some(&"Offline".into()));
    let list: serde_json::Value = serde_json::from_str(&ok(&daemon, &["list", "--json"])).unwrap();
    assert_eq!(list.pointer("/clients/0/exit"), Some(&exit));
    assert!(ok(&daemon, &["version"]).contains("micad 0.1.0 (protocol 1)"));
    ok(&daemon, &["rm", "rtos"]);
    assert_eq!(ok(&daemon, &["status"]), header);
}

#[test]
fn stop_all_stops_what_runs_and_leaves_the_rest() {
    let daemon = Daemon::start();
    let firmware = tiny_elf::echo(daemon.dir());
    for name in ["runs", "frozen", "never-started"] {
        ok(&daemon, &["create", &conf(daemon.dir(), name, &firmware, "")]);
    }
    ok(&daemon, &["start", "runs"]);
    ok(&daemon, &["start", "frozen"]);
    ok(&daemon, &["pause", "frozen"]);
    ok(&daemon, &["stop", "--all"]);
    let list: serde_json::Value = serde_json::from_str(&ok(&daemon, &["list", "--json"])).unwrap();
    let clients = list["clients"].as_array().unwrap();
    let seen = |name: &str| clients.iter().find(|client| client["name"] == name).unwrap();
    for name in ["runs", "frozen"] {
        assert_eq!(
            (&seen(name)["state"], &seen(name)["exit"]["reason"]),
            (&"Offline".into(), &"stopped".into())
        );
    }
    assert_eq!(
        (&seen("never-started")["state"], &seen("never-started")["exit"]),
        (&"Offline".into(), &serde_json::Value::Null)
    );
    // Nothing left to do is no error.
    ok(&daemon, &["stop", "--all"]);
}

#[test]
fn errors_go_to_stderr_with_status_1() {
    let daemon = Daemon::start();
    let output = mica(&daemon, &["start", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "mica: the mica daemon has no client named \"nobody\": create it first\n"
    );
}

#[test]
fn memory_of_the_qemu_section_arrives() {
    let daemon = Daemon::start();
    let file = conf(daemon.dir(), "rtos", &tiny_elf::echo(daemon.dir()), "[Qemu]\nMemory=48\n");
    ok(&daemon, &["create", &file]);
    ok(&daemon, &["start", "rtos"]);
    let stats: serde_json::Value = serde_json::from_str(&ok(&daemon, &["stats", "rtos", "--json"])).unwrap();
    let line = fs::read_to_string(format!("/proc/{}/cmdline", stats["pid"])).unwrap();
    assert!(line.contains("\0-m\x0048\0"), "{line:?}");
}

#[tokio::test]
async fn clients_of_the_conf_directory_boot_with_the_daemon() {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let echo = tiny_elf::echo(dir.path());
    conf(&etc, "boots", &echo, "AutoBoot=yes\n");
    conf(&etc, "waits", &echo, "AutoBoot=no\n");
    conf(&etc, "broken", Path::new("/no/such.elf"), "AutoBoot=yes\n");
    fs::write(etc.join("micad.conf"), "[Micad]\nRuntimeDir=/run/mica\n").unwrap();
    fs::write(etc.join("README"), "[Mica]\nName=readme\n").unwrap();
    let mut daemon = Daemon::start_in(dir, &[]);
    eventually("it boots", || ok(&daemon, &["status", "boots"]).contains("Running")).await;
    daemon.console("boots").read_to("H");
    let names = |daemon: &Daemon| {
        ok(daemon, &["status"]).lines().skip(1).map(|l| l[..30].trim().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&daemon), ["boots", "waits"]);
    assert!(daemon.log().contains("broken: No such file: /no/such.elf"), "{}", daemon.log());
    let client = daemon.client();
    assert_eq!(client.status("waits").await.unwrap().state, libmica::ClientState::Offline);
    // A restart neither boots it twice nor forgets it.
    let pid = client.stats("boots").await.unwrap().pid;
    daemon.end(Signal::TERM);
    daemon.launch();
    assert_eq!(client.stats("boots").await.unwrap().pid, pid);
}

#[tokio::test]
async fn a_boot_that_fails_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let etc = dir.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let late = dir.path().join("late.elf");
    fs::write(&late, "not there yet").unwrap();
    conf(&etc, "late", &late, "AutoBoot=yes\n");
    let daemon = Daemon::start_in(dir, &[]);
    eventually("it fails", || daemon.log().contains("it is tried again in 1s")).await;
    fs::copy(tiny_elf::echo(daemon.dir()), &late).unwrap();
    eventually("it boots", || ok(&daemon, &["status", "late"]).contains("Running")).await;
}

#[test]
fn create_all_starts_what_boots_by_itself() {
    let daemon = Daemon::start();
    let etc = daemon.path("later");
    fs::create_dir(&etc).unwrap();
    let echo = tiny_elf::echo(daemon.dir());
    conf(&etc, "boots", &echo, "AutoBoot=yes\n");
    conf(&etc, "broken", Path::new("/no/such.elf"), "");
    conf(&etc, "waits", &echo, "");
    let output = mica(&daemon, &["create", "--all", "--conf-dir", etc.to_str().unwrap()]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("No such file: /no/such.elf") && error.contains("1 of the conf files"), "{error}");
    let table = ok(&daemon, &["status"]);
    let states: Vec<&str> = table.lines().skip(1).map(|l| l[50..70].trim()).collect();
    assert_eq!(states, ["Running", "Offline"]);
}

#[test]
fn completions_and_man_pages_are_made() {
    let daemon = Daemon::start();
    assert!(ok(&daemon, &["completions", "bash"]).contains("complete -F _mica"));
    let dir = daemon.path("man");
    ok(&daemon, &["man", dir.to_str().unwrap()]);
    for page in ["mica.1", "mica-create.1", "micad.1"] {
        assert!(fs::read_to_string(dir.join(page)).unwrap().contains(".TH"), "{page}");
    }
}

#[test]
fn the_configuration_file_is_read_and_overridden() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    fs::write(&file, "[Micad]\nDefaultPedestal=qemu\nPidFile=/nonexistent/pid\nAllowedUids=1 2\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let daemon = Daemon::start_in(dir, &["--config", &path]);
    assert!(daemon.path("micad.pid").exists());
    for (text, expected) in [
        (
            "[Micad]\n\nAllowedUids=root\n",
            "line 3: [Micad] AllowedUids: \"root\" is not a user id; write a number",
        ),
        ("[Micad]\nQemuUidBase=-1\n", "line 2: [Micad] QemuUidBase: \"-1\" is not a user id"),
        ("AllowedUids=1\n", "line 1: \"AllowedUids=1\" comes before any section; begin with [Micad]"),
        ("[Micad]\nPidFile=/a\npidfile=/b\n", "line 3: \"pidfile=/b\" repeats the key of line 2"),
        ("[Micad]\nPidFile=/a ; why\n", "line 2: [Micad] PidFile: \"/a ; why\" has a comment"),
    ] {
        fs::write(&file, text).unwrap();
        let output = daemon.command().output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        let expected = format!("{path}: {expected}");
        assert!(!output.status.success() && error.contains(&expected), "{error}");
    }
}

#[test]
fn what_the_configuration_file_says_in_vain_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    fs::write(&file, "[Micad]\nQemuPaht = /opt\n[Micda]\n").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let log = Daemon::start_in(dir, &["--config", &path]).log();
    assert!(
        log.contains("the key \"qemupaht\" is not known and is ignored; did you mean QemuPath?"),
        "{log}"
    );
    assert!(log.contains("the section \"micda\" is not known and is ignored; did you mean Micad?"), "{log}");
}

/// What was `--carry=99,98,1` took numbers for descriptors and aborted.
#[test]
fn a_relay_that_no_daemon_has_started_says_so() {
    let (silent, _end) = std::io::pipe().unwrap();
    let (socket, _peer) = UnixDatagram::pair().unwrap();
    for stdin in [
        Stdio::null(),
        silent.into(),
        fs::File::open("/etc/passwd").unwrap().into(),
        // Its standard output is no terminal.
        OwnedFd::from(socket).into(),
    ] {
        let output = Command::new(isolation::binary("micad")).arg("--relay").stdin(stdin).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("only the daemon starts this"), "{error}");
    }
}
