//! How a run can end, and that it is noticed.

use libmica::ext::ExitReason::{Exited, Fault, Killed, Reset, Stopped};
use libmica::{ClientState, Error};
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, demo, is_alive};
use crate::tiny_elf::{self, Tiny};

/// Runs `firmware` to its end and gives status and reason.
async fn outcome(
    firmware: impl Fn(&std::path::Path) -> std::path::PathBuf,
) -> (u8, libmica::ext::ExitReason) {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &firmware(daemon.dir())).await;
    let report = client.wait("x").await.unwrap();
    let status = client.status("x").await.unwrap();
    assert_eq!((status.state, status.services.len()), (ClientState::Offline, 0));
    // It stays known, by every way.
    assert_eq!(client.wait("x").await.unwrap(), report);
    assert_eq!(client.stats("x").await.unwrap().exit.as_ref(), Some(&report));
    assert_eq!(client.list().await.unwrap().clients[0].exit.as_ref(), Some(&report));
    (report.status, report.reason)
}

#[tokio::test]
async fn the_exit_record_gives_the_status() {
    assert_eq!(outcome(|dir| tiny_elf::exits(dir, 0, 7)).await, (7, Exited));
    assert_eq!(outcome(|dir| tiny_elf::exits(dir, 0, 0x1ff)).await, (255, Exited));
    assert_eq!(outcome(|dir| tiny_elf::exits(dir, 1, 134)).await, (134, Fault));
}

#[tokio::test]
async fn a_power_off_without_a_record_is_status_0() {
    assert_eq!(outcome(tiny_elf::powers_off).await, (0, Exited));
    assert_eq!(outcome(tiny_elf::lies).await, (0, Exited));
}

#[tokio::test]
async fn a_reset_ends_the_run() {
    assert_eq!(outcome(tiny_elf::resets).await, (1, Reset));
}

#[tokio::test]
async fn the_demo_exits_and_crashes() {
    let daemon = Daemon::start();
    let client = daemon.boot("demo", &demo()).await;
    for (line, expected) in [("exit 7\r", (7, Exited)), ("crash\r", (139, Fault))] {
        let mut console = daemon.console("demo");
        console.read_to("micrun> ");
        console.write(line.as_bytes());
        let report = client.wait("demo").await.unwrap();
        assert_eq!((report.status, report.reason), expected, "{line}");
        client.start("demo").await.unwrap();
        assert_eq!(client.stats("demo").await.unwrap().exit, None, "a new run has not ended");
    }
}

#[tokio::test]
async fn a_spinning_guest_is_stopped() {
    let daemon = Daemon::start();
    let client = daemon.boot("spin", &tiny_elf::spins(daemon.dir())).await;
    let pid = client.stats("spin").await.unwrap().pid;
    client.stop("spin").await.unwrap();
    assert!(!is_alive(pid));
    let report = client.wait("spin").await.unwrap();
    assert_eq!((report.status, report.reason), (0, Stopped));
}

#[tokio::test]
async fn a_killed_qemu_is_noticed() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    // The first process of a PID namespace survives other signals from outside, unless it handles them.
    for (signal, status) in [(Signal::KILL, 137), (Signal::TERM, 143)] {
        let pid = i32::try_from(client.stats("x").await.unwrap().pid).unwrap();
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.wait("x").await.unwrap() }
        });
        rustix::process::kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        let report = waiting.await.unwrap();
        assert_eq!((report.status, report.reason), (status, Killed), "{}", report.detail);
        client.start("x").await.unwrap();
    }
}

/// QEMU aborts when a Cortex-M faults with no handler left. It does so as the first process of a PID namespace, which
/// survives SIGABRT.
#[tokio::test]
async fn a_qemu_that_aborts_has_the_status_of_that() {
    let dir = tempfile::tempdir().unwrap();
    // The stack, the reset handler; no other vector. The handler is no instruction.
    let code =
        [&0x2040_0000_u32.to_le_bytes()[..], &0x41_u32.to_le_bytes(), &[0; 56], &[0x00, 0xde]].concat();
    let elf = tiny_elf::write_tiny(dir.path(), &Tiny { machine: 40, base: 0, entry: 0x41, code: &code });
    let daemon = Daemon::start();
    let client = daemon.boot("x", &elf).await;
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (134, Killed), "{}", report.detail);
    assert!(report.detail.contains("QEMU aborted"), "{}", report.detail);
}

#[tokio::test]
async fn a_wait_is_for_its_run_even_if_the_next_begins_at_once() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let mut waiting = daemon.connect("x.socket");
    std::io::Write::write_all(&mut waiting, b"wait").unwrap();
    // Connections are accepted in their order: the wait is being served.
    daemon.ask("x.socket", b"status");
    // The stop is not answered yet when the start comes: the daemon finds the one behind the other.
    let mut stopping = daemon.connect("x.socket");
    std::io::Write::write_all(&mut stopping, b"stop").unwrap();
    client.start("x").await.unwrap();
    let mut reply = String::new();
    std::io::Read::read_to_string(&mut stopping, &mut reply).unwrap();
    assert_eq!(reply, "MICA-SUCCESS");
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
    reply.clear();
    std::io::Read::read_to_string(&mut waiting, &mut reply).unwrap();
    assert!(reply.contains("\"reason\":\"stopped\""), "{reply}");
}

#[tokio::test]
async fn wait_for_what_was_never_started() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    let error = client.wait("x").await.unwrap_err();
    assert!(matches!(&error, Error::Failed { text, .. } if text == "x was never started"), "{error}");
}

#[tokio::test]
async fn everyone_who_waits_is_told_even_by_removal() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let mut connections: Vec<_> = (0..3).map(|_| daemon.connect("x.socket")).collect();
    for connection in &mut connections {
        std::io::Write::write_all(connection, b"wait").unwrap();
    }
    client.remove("x").await.unwrap();
    for connection in &mut connections {
        let mut reply = String::new();
        std::io::Read::read_to_string(connection, &mut reply).unwrap();
        assert!(reply.contains("\"reason\":\"stopped\"") && reply.ends_with("MICA-SUCCESS"), "{reply}");
    }
}
