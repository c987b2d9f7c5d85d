//! The state of a machine, written down and taken up again.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;

use libmica::{ClientState, CreateMessage, Launch};
use rustix::process::Signal;

use crate::harness::{Daemon, demo, is_alive, message, mica};

/// Types a command and reads up to the next prompt.
macro_rules! run {
    ($console:expr, $line:expr) => {{
        $console.write(concat!($line, "\r").as_bytes());
        $console.read_to("micrun> ")
    }};
}

fn launch(snapshot: &File) -> Launch {
    let mut snapshot = snapshot.try_clone().unwrap();
    snapshot.rewind().unwrap();
    Launch { snapshot: Some(snapshot.into()), ..Launch::default() }
}

/// The demo's uptime counts ticks of its own clock, which stands still while nothing runs.
fn ticks(text: &str) -> u64 {
    let (_, rest) = text.split_once(" s, ").unwrap_or_else(|| panic!("{text}"));
    rest.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_client_goes_on_where_its_checkpoint_was_taken() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    // Half a line waits in the firmware's memory.
    console.write(b"echo kept in mem");
    console.read_to("kept in mem");
    let mut snapshot = tempfile::tempfile().unwrap();
    client.checkpoint("one", snapshot.as_fd()).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert!(snapshot.metadata().unwrap().len() > 10_000);

    // The original goes on.
    console.write(b"ory\r");
    assert!(console.read_to("micrun> ").contains("\r\nkept in memory\r\n"));
    let before = ticks(&run!(console, "uptime"));
    client.stop("one").await.unwrap();

    // A second one takes it up, and as a third after a restart of the daemon.
    client.create(&message("two", &demo())).await.unwrap();
    client.launch("two", &launch(&snapshot)).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    let mut console = daemon.console("two");
    console.write(b"o\r");
    let text = console.read_to("micrun> ");
    assert!(text.contains("\r\nkept in memo\r\n") && !text.contains("micrun FreeRTOS demo"), "{text}");
    daemon.end(Signal::TERM);
    daemon.launch();
    assert!(ticks(&run!(console, "uptime")) <= before + 100_000);
    console.write(b"exit 9\r");
    assert_eq!(client.wait("two").await.unwrap().status, 9);

    // It is the state, not the command line, that makes the difference.
    let mut magic = [0; 4];
    snapshot.rewind().unwrap();
    snapshot.read_exact(&mut magic).unwrap();
    assert_eq!(&magic, b"QEVM");
}

#[tokio::test]
async fn a_frozen_client_can_be_written_down_again_and_again_and_stays_frozen() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    client.pause("one").await.unwrap();
    for _ in 0..3 {
        let snapshot = tempfile::tempfile().unwrap();
        client.checkpoint("one", snapshot.as_fd()).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
        assert_eq!(client.status("one").await.unwrap().state, ClientState::Suspended);
    }
    console.write(b"echo awake\r");
    client.resume("one").await.unwrap();
    console.read_to("\r\nawake\r\n");
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
}

#[tokio::test]
async fn a_damaged_checkpoint_starts_nothing_and_leaves_nothing() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let snapshot = tempfile::tempfile().unwrap();
    client.checkpoint("one", snapshot.as_fd()).await.unwrap();
    let length = snapshot.metadata().unwrap().len();
    snapshot.set_len(length / 2).unwrap();
    client.create(&message("two", &demo())).await.unwrap();
    let refusal = client.launch("two", &launch(&snapshot)).await.unwrap_err().to_string();
    assert!(refusal.contains("load of migration failed"), "{refusal}");
    let entry = client.list().await.unwrap().clients.into_iter().find(|c| c.name == "two").unwrap();
    assert_eq!((entry.state, entry.pid), (ClientState::Offline, None));

    // Nor does one of a machine with another memory.
    snapshot.set_len(0).unwrap();
    client.checkpoint("one", snapshot.as_fd()).await.unwrap();
    let bigger = CreateMessage { memory: 128, ..message("three", &demo()) };
    client.create(&bigger).await.unwrap();
    client.launch("three", &launch(&snapshot)).await.unwrap_err();
    client.start("three").await.unwrap();
}

#[tokio::test]
async fn what_has_no_state_cannot_be_written_down() {
    let daemon = Daemon::start();
    let client = daemon.create("one", &demo()).await;
    let snapshot = tempfile::tempfile().unwrap();
    let refusal = client.checkpoint("one", snapshot.as_fd()).await.unwrap_err().to_string();
    assert!(refusal.contains("cannot checkpoint one: it is Offline"), "{refusal}");
    for command in ["checkpoint", "restore"] {
        let reply = daemon.ask("one.socket", command.as_bytes());
        assert!(reply.contains("needs an open file that is sent with it"), "{reply}");
    }
}

/// A file stands for a `cgroup.procs`: what is written to it, and by whom it could be.
#[tokio::test]
async fn the_process_joins_the_cgroups_that_come_with_start() {
    let daemon = Daemon::start();
    let client = daemon.create("one", &demo()).await;
    let files = [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()];
    let cgroups = files.iter().map(|file| file.try_clone().unwrap().into()).collect();
    client.launch("one", &Launch { cgroups, ..Launch::default() }).await.unwrap();
    for mut file in files {
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "0");
    }
    let pid = client.stats("one").await.unwrap().pid;
    assert!(is_alive(pid));
    let open: Vec<_> = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten().collect();
    let links: Vec<_> = open.iter().filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    // Not one of them is left open in the process.
    let log = daemon.run_dir().join("clients/one/qemu.log");
    assert!(links.iter().all(|link| !link.starts_with("/tmp") || *link == log), "{links:?}");
}

#[tokio::test]
async fn a_frozen_client_goes_on_from_its_checkpoint_too() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    client.pause("one").await.unwrap();
    let snapshot = tempfile::tempfile().unwrap();
    client.checkpoint("one", snapshot.as_fd()).await.unwrap();
    client.create(&message("two", &demo())).await.unwrap();
    client.launch("two", &launch(&snapshot)).await.unwrap();
    let mut console = daemon.console("two");
    assert!(run!(console, "echo alive").contains("\r\nalive\r\n"));
}

#[tokio::test]
async fn by_the_command_and_through_a_file() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    console.write(b"echo kept in mem");
    console.read_to("kept in mem");
    let file = daemon.dir().join("state");
    let file = file.to_str().unwrap();
    let said = |arguments: &[&str]| {
        let output = mica(&daemon, arguments);
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(said(&["checkpoint", "one", file]), (Some(0), String::new()));
    client.stop("one").await.unwrap();

    let (status, reason) = said(&["checkpoint", "one", file]);
    assert_eq!(status, Some(1), "nothing runs");
    assert!(!reason.is_empty() && !daemon.dir().join("state.part").exists());
    assert_eq!(said(&["restore", "one", file]), (Some(0), String::new()));
    let mut console = daemon.console("one");
    console.write(b"ory\r");
    assert!(console.read_to("micrun> ").contains("\r\nkept in memory\r\n"));
    let (status, reason) = said(&["restore", "one", "/nonexistent"]);
    assert_eq!((status, reason.contains("cannot read /nonexistent")), (Some(1), true), "{reason}");
}
