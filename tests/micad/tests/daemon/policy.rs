//! micad.conf stands above every client, whoever creates it: the message is upstream's.

use std::fs;
use std::path::Path;

use libmica::{ClientState, CreateMessage, Error};
use rustix::process::Signal;

use crate::harness::{Daemon, message, mica};
use crate::tiny_elf;

/// A daemon with this configuration.
fn daemon(conf: &str) -> Daemon {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    fs::write(&file, conf).unwrap();
    let option = format!("--config={}", file.display());
    Daemon::start_in(dir, &[&option])
}

/// The words with which the daemon refuses the bytes of a create message.
fn refusal(daemon: &Daemon, message: &CreateMessage) -> String {
    let reply = daemon.ask("mica-create.socket", &message.encode().unwrap());
    reply.strip_suffix("MICA-FAILED").unwrap_or_else(|| panic!("not refused: {reply}")).to_owned()
}

fn refused_start(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Failed { text, .. }) => text,
        other => panic!("not refused: {other:?}"),
    }
}

/// A client whose machine a conf file describes.
fn with_conf(daemon: &Daemon, firmware: &Path, key: &str, value: &str) -> CreateMessage {
    let conf = daemon.path(&format!("{key}.conf"));
    fs::write(&conf, format!("[Qemu]\n{key} = {value}\n")).unwrap();
    CreateMessage { pedestal_conf: conf, ..message("x", firmware) }
}

#[tokio::test]
async fn upstreams_message_is_held_to_the_policy() {
    let daemon = daemon(
        "[Policy]\nAllowedPedestals = qemu\nAllowedMachines = virt\nAllowedCpus = cortex-a53\nMaxMemory = 64\n\
         MaxVcpus = 2\nMaxFirmwareSize = 1\n",
    );
    let echo = tiny_elf::echo(daemon.dir());
    let plain = || message("x", &echo);
    let large = daemon.path("large.elf");
    let mut bytes = fs::read(&echo).unwrap();
    bytes.resize((1 << 20) + 1, 0);
    fs::write(&large, bytes).unwrap();
    let place = format!(" in {} is ", daemon.path("micad.conf").display());
    for (message, subject, key) in [
        (CreateMessage { memory: 2000, ..plain() }, "memory in MiB of 2000", "MaxMemory"),
        (CreateMessage { vcpus: 123, ..plain() }, "a number of virtual CPUs of 123", "MaxVcpus"),
        (message("x", &large), "the firmware of 1048577 bytes", "MaxFirmwareSize"),
        (with_conf(&daemon, &echo, "Machine", "raspi4b"), "machine \"raspi4b\"", "AllowedMachines"),
        (with_conf(&daemon, &echo, "CPU", "max"), "CPU model \"max\"", "AllowedCpus"),
    ] {
        let said = refusal(&daemon, &message);
        assert!(said.starts_with(subject), "{said}");
        assert!(said.contains(&format!("is not allowed on this host: {key}{place}")), "{said}");
    }
    assert!(daemon.client().list().await.unwrap().clients.is_empty());
    assert_eq!(fs::read_dir(daemon.run_dir().join("clients")).unwrap().count(), 0);
    let fits = CreateMessage { memory: 64, vcpus: 2, ..plain() };
    daemon.client().create(&fits).await.unwrap();
    daemon.client().start("x").await.unwrap();
}

/// A client that says nothing gets what its firmware needs: the policy is asked again then.
#[tokio::test]
async fn what_only_the_firmware_tells_is_refused_at_its_start() {
    for (rule, subject) in [
        ("AllowedMachines = mps2-*", "machine \"virt\""),
        ("AllowedCpus = none", "CPU model \"cortex-a53\""),
        ("MaxMemory = 32", "memory in MiB of 64"),
    ] {
        let daemon = daemon(&format!("[Policy]\n{rule}\n"));
        let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
        let said = refused_start(client.start("x").await);
        let key = rule.split(' ').next().unwrap();
        assert!(said.starts_with(subject) && said.contains(key), "{said}");
        let left = fs::symlink_metadata(daemon.run_dir().join(libmica::names::tty_name("x", 0)));
        assert!(left.is_err(), "a console was left");
    }
}

#[tokio::test]
async fn another_policy_ends_nothing_and_holds_from_the_next_start_on() {
    let mut daemon = daemon("");
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    daemon.end(Signal::TERM);
    fs::write(daemon.path("micad.conf"), "[Policy]\nAllowedPedestals = baremetal\n").unwrap();
    daemon.launch();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
    client.stop("x").await.unwrap();
    assert!(refused_start(client.start("x").await).contains("AllowedPedestals"));
}

#[tokio::test]
async fn version_tells_the_policy_and_the_pool() {
    let daemon = daemon("[Micad]\nSharedCpus = 0\n[Policy]\nAllowedMachines = virt, mps2-*\nMaxVcpus = 2\n");
    let version = daemon.client().version().await.unwrap();
    let policy = version.policy.unwrap();
    assert_eq!(policy.file, daemon.path("micad.conf").display().to_string());
    assert_eq!((policy.machines.join(" ").as_str(), policy.max_vcpus), ("virt mps2-*", Some(2)));
    assert_eq!((policy.pedestals.join(" ").as_str(), policy.max_memory_mb), ("*", None));
    assert_eq!(version.pools.unwrap().shared.as_deref(), Some("0"));
    let shown: serde_json::Value =
        serde_json::from_slice(&mica(&daemon, &["version", "--json"]).stdout).unwrap();
    assert_eq!(shown.pointer("/daemon/pools/shared"), Some(&"0".into()));
    assert_eq!(shown.pointer("/daemon/policy/max_firmware_mb"), Some(&256.into()));
}

/// The CPUs of each thread of a process, as the kernel has them.
fn cpus(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut found: Vec<_> = tasks
        .map(|task| {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
            list.trim().to_owned()
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[tokio::test]
async fn a_client_without_cpus_of_its_own_runs_in_the_pool() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        eprintln!("skipped: there is one CPU");
        return;
    }
    let daemon = daemon("[Micad]\nSharedCpus = 1\n");
    let echo = tiny_elf::echo(daemon.dir());
    let client = daemon.boot("shares", &echo).await;
    for (name, cpu) in [("alone", "0"), ("half", "0-1")] {
        client.create(&CreateMessage { cpu: cpu.into(), ..message(name, &echo) }).await.unwrap();
    }
    client.start("alone").await.unwrap();
    let said = refused_start(client.start("half").await);
    assert!(said.contains("SharedCpus in ") && said.contains("partly in the shared pool"), "{said}");

    let list = client.list().await.unwrap().clients;
    let entry = |name: &str| list.iter().find(|entry| entry.name == name).unwrap();
    for (name, on, pool) in [("shares", "1", Some("shared")), ("alone", "0", None)] {
        assert_eq!(cpus(entry(name).pid.unwrap()), [on], "{name}");
        assert_eq!((entry(name).cpus.as_deref(), entry(name).pool.as_deref()), (Some(on), pool), "{name}");
    }
    assert_eq!((&entry("half").cpus, &entry("half").pool), (&None, &None));
    let shown = String::from_utf8(mica(&daemon, &["list"]).stdout).unwrap();
    let line = shown.lines().find(|line| line.starts_with("shares ")).unwrap();
    assert!(line.contains(" 1 (shared) "), "{shown}");
}

/// The threads that start the emulators are the daemon's again afterwards.
#[tokio::test]
async fn the_daemon_itself_stays_where_it_was() {
    let daemon = daemon("[Micad]\nSharedCpus = 0\n");
    let before = cpus(daemon.pid());
    let echo = tiny_elf::echo(daemon.dir());
    for name in ["a", "b", "c"] {
        let client = daemon.boot(name, &echo).await;
        assert_eq!(cpus(client.stats(name).await.unwrap().pid), ["0"]);
    }
    assert_eq!(cpus(daemon.pid()), before);
}
