//! From creation to removal.

use std::fs;
use std::path::Path;

use libmica::{ClientState, CreateMessage, Error};
use rustix::process::Signal;

use crate::harness::{Daemon, demo, eventually, is_alive, message};
use crate::tiny_elf;

fn failed(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Failed { text, .. }) => text,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_client_from_creation_to_removal() {
    let daemon = Daemon::start();
    let client = daemon.create("demo", &demo()).await;
    let status = client.status("demo").await.unwrap();
    assert_eq!((status.state, status.services.len()), (ClientState::Offline, 0));
    client.start("demo").await.unwrap();
    let status = client.status("demo").await.unwrap();
    assert_eq!(status.state, ClientState::Running);
    let tty = status.services[0].device.clone().unwrap();
    assert_eq!(
        (status.services[0].name.as_str(), &tty),
        ("rpmsg-tty", &daemon.run_dir().join("ttyRPMSG_demo_0"))
    );
    assert!(fs::read_link(&tty).unwrap().starts_with("/dev/pts"));
    let usage = client.stats("demo").await.unwrap();
    assert!(is_alive(usage.pid) && usage.memory_bytes > 1 << 20, "{usage:?}");
    client.stop("demo").await.unwrap();
    assert!(!is_alive(usage.pid), "stop answered before QEMU was gone");
    assert_eq!(client.status("demo").await.unwrap().state, ClientState::Offline);
    client.stop("demo").await.unwrap();
    client.start("demo").await.unwrap();
    client.remove("demo").await.unwrap();
    assert!(matches!(client.status("demo").await, Err(Error::ClientNotFound { .. })));
    assert!(client.list().await.unwrap().clients.is_empty());
}

#[tokio::test]
async fn nothing_is_left_behind() {
    let mut daemon = Daemon::start();
    let fds = || {
        let all = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().flatten();
        // The root for the next QEMU is no client's.
        let is_root =
            |path: &Path| fs::read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with("mnt:"));
        all.filter(|entry| !is_root(&entry.path())).count()
    };
    let before = fds();
    let echo = tiny_elf::echo(daemon.dir());
    let mut pids = Vec::new();
    for round in 0..3 {
        let name = format!("client{round}");
        let client = daemon.boot(&name, &echo).await;
        pids.push(client.stats(&name).await.unwrap().pid);
        client.remove(&name).await.unwrap();
    }
    eventually("all descriptors are closed", || fds() <= before).await;
    assert!(pids.into_iter().all(|pid| !is_alive(pid)));
    eventually("all children are reaped", || daemon.children().is_empty()).await;
    assert!(daemon.end(Signal::TERM).success());
    let mut left: Vec<_> = fs::read_dir(daemon.run_dir())
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    // How it ended outlives the client.
    assert_eq!(left, ["clients", "history-v1.jsonl", "micad.lock"]);
    assert_eq!(fs::read_dir(daemon.run_dir().join("clients")).unwrap().count(), 0);
    assert!(!daemon.path("micad.pid").exists());
}

#[tokio::test]
async fn what_create_refuses() {
    let daemon = Daemon::start();
    let echo = tiny_elf::echo(daemon.dir());
    let client = daemon.create("taken", &echo).await;
    let again = client.create(&message("taken", &echo)).await;
    assert!(matches!(again, Err(Error::AlreadyExists { .. })), "{again:?}");
    let missing = client.create(&message("x", "/no/such.elf".as_ref())).await;
    assert_eq!(failed(missing), "No such file: /no/such.elf");
    let xen = CreateMessage { pedestal: "xen".into(), ..message("x", &echo) };
    assert!(failed(client.create(&xen).await).contains("\"xen\" is not available"));
    let bare = CreateMessage { pedestal: "baremetal".into(), ..message("x", &echo) };
    assert!(failed(client.create(&bare).await).contains("no remoteproc"));
    let conf = daemon.path("bad.conf");
    fs::write(&conf, "[Qemu]\nMachine=virt,dumpdtb=/etc/passwd\n").unwrap();
    let hostile = CreateMessage { pedestal_conf: conf, ..message("x", &echo) };
    assert!(failed(client.create(&hostile).await).contains("dumpdtb"));
    let names: Vec<_> = client.list().await.unwrap().clients.into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["taken"]);
}

#[tokio::test]
async fn a_client_without_a_pedestal_gets_the_configured_one_else_qemu_without_a_remoteproc() {
    for options in [&[][..], &["--default-pedestal", "qemu"]] {
        let daemon = Daemon::start_with(options);
        let echo = tiny_elf::echo(daemon.dir());
        let any = CreateMessage { pedestal: String::new(), ..message("x", &echo) };
        daemon.client().create(&any).await.unwrap();
        daemon.client().start("x").await.unwrap();
        assert_eq!(daemon.client().list().await.unwrap().clients[0].pedestal, "qemu");
    }
    let daemon = Daemon::start_with(&["--default-pedestal", "baremetal"]);
    let any = CreateMessage { pedestal: String::new(), ..message("x", &tiny_elf::echo(daemon.dir())) };
    assert!(failed(daemon.client().create(&any).await).contains("no remoteproc"));
}

#[tokio::test]
async fn a_start_that_fails_says_why_and_leaves_nothing() {
    let daemon = Daemon::start();
    let text = daemon.path("text.elf");
    fs::write(&text, "no firmware\n").unwrap();
    let client = daemon.create("text", &text).await;
    assert!(failed(client.start("text").await).contains("cannot run on the qemu pedestal"));

    // QEMU's own words, when it is QEMU that refuses.
    let conf = daemon.path("machine.conf");
    fs::write(&conf, "[Qemu]\nMachine=no-such-machine\n").unwrap();
    let echo = tiny_elf::echo(daemon.dir());
    let odd = CreateMessage { pedestal_conf: conf, ..message("odd", &echo) };
    client.create(&odd).await.unwrap();
    let error = failed(client.start("odd").await);
    assert!(error.contains("QEMU did not start") && error.contains("no-such-machine"), "{error}");

    let status = client.status("odd").await.unwrap();
    assert_eq!(status.state, ClientState::Offline);
    assert!(fs::symlink_metadata(daemon.run_dir().join("ttyRPMSG_odd_0")).is_err(), "a link was left");
    eventually("its processes are gone", || daemon.children().is_empty()).await;
}

#[tokio::test]
async fn a_missing_emulator_is_named() {
    let daemon = Daemon::start_with(&["--qemu-path", "/nonexistent"]);
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    assert!(failed(client.start("x").await).contains("/nonexistent/qemu-system-aarch64"));
}

#[tokio::test]
async fn firmware_too_large_for_its_memory_is_refused() {
    let daemon = Daemon::start();
    let echo = tiny_elf::echo(daemon.dir());
    let small = CreateMessage { memory: 1, ..message("small", &echo) };
    daemon.client().create(&small).await.unwrap();
    assert!(failed(daemon.client().start("small").await).contains("cannot run"));
}

#[tokio::test]
async fn pause_and_resume() {
    let daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let mut console = daemon.console("echo");
    console.read_to("H");
    client.pause("echo").await.unwrap();
    assert_eq!(client.status("echo").await.unwrap().state, ClientState::Suspended);
    assert!(failed(client.pause("echo").await).contains("it is Suspended"));
    let frozen = client.stats("echo").await.unwrap();
    console.write(b"x");
    assert!(failed(client.start("echo").await).contains("it is Suspended"));
    let still = client.stats("echo").await.unwrap();
    assert!(
        still.cpu_usec - frozen.cpu_usec <= 20_000,
        "a frozen spinner used {} us",
        still.cpu_usec - frozen.cpu_usec
    );
    assert_eq!(console.rest(), b"", "frozen firmware answered");
    client.resume("echo").await.unwrap();
    assert_eq!(console.read_to("x"), "x");
    assert_eq!(client.status("echo").await.unwrap().state, ClientState::Running);
    client.pause("echo").await.unwrap();
    client.stop("echo").await.unwrap();
    assert!(failed(client.resume("echo").await).contains("it is Offline"));
}

#[tokio::test]
async fn set_is_refused_with_a_sentence() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    assert!(failed(client.set("x", "Memory", "128").await).contains("cannot change Memory"));
}

#[tokio::test]
async fn names_that_look_alike_have_consoles_of_their_own() {
    let daemon = Daemon::start();
    let echo = tiny_elf::echo(daemon.dir());
    let client = daemon.boot("a.b", &echo).await;
    daemon.boot("a_b", &echo).await;
    let tty = |status: libmica::ClientStatus| status.services[0].device.clone().unwrap();
    let first = tty(client.status("a.b").await.unwrap());
    let second = tty(client.status("a_b").await.unwrap());
    assert_eq!(first, daemon.run_dir().join("ttyRPMSG_a_b_0"));
    assert_eq!(second, daemon.run_dir().join("ttyRPMSG_a_b_1"));
    assert_ne!(fs::canonicalize(first).unwrap(), fs::canonicalize(second).unwrap());
}

#[tokio::test]
async fn a_name_of_65_bytes() {
    let daemon = Daemon::start();
    let name = "n".repeat(65);
    let client = daemon.boot(&name, &tiny_elf::echo(daemon.dir())).await;
    assert_eq!(client.status(&name).await.unwrap().state, ClientState::Running);
    assert_eq!(client.list().await.unwrap().clients[0].name, name);
    client.remove(&name).await.unwrap();
}
