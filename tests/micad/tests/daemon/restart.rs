//! The daemon's end is not the firmware's.

use std::fs;
use std::process::Command;

use libmica::ClientState;
use libmica::ext::ExitReason;
use micrun_host_tests::isolation;
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, eventually, is_alive};
use crate::tiny_elf;

#[tokio::test]
async fn a_second_daemon_refuses_to_start() {
    let daemon = Daemon::start();
    let output = daemon.command().output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("another micad already serves"), "{error}");
    // And has not harmed the first.
    daemon.client().list().await.unwrap();
    let pid = fs::read_to_string(daemon.path("micad.pid")).unwrap();
    assert_eq!(pid.trim(), daemon.pid().to_string());
}

#[tokio::test]
async fn firmware_goes_on_and_is_taken_over() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut daemon = Daemon::start();
        let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
        daemon.create("idle", &tiny_elf::spins(daemon.dir())).await;
        let mut console = daemon.console("echo");
        console.read_to("H");
        let pid = client.stats("echo").await.unwrap().pid;
        daemon.end(signal);
        assert!(is_alive(pid));
        console.write(b"alone");
        assert_eq!(console.read_to("alone"), "alone");

        daemon.launch();
        let stats = client.stats("echo").await.unwrap();
        assert_eq!((stats.state, stats.pid), (ClientState::Running, pid));
        assert_eq!(client.status("idle").await.unwrap().state, ClientState::Offline);
        console.write(b"again");
        assert_eq!(console.read_to("again"), "again");
        assert_eq!(daemon.console("echo").rest(), b"");
        client.pause("echo").await.unwrap();
        client.resume("echo").await.unwrap();
        client.stop("echo").await.unwrap();
        assert!(!is_alive(pid));
        client.start("echo").await.unwrap();
    }
}

/// An upgrade puts another file in the place of the program before it starts the daemon anew.
#[tokio::test]
async fn a_daemon_whose_file_was_replaced_starts_firmware() {
    let mut daemon = Daemon::prepare();
    let program = daemon.path("micad");
    fs::copy(isolation::binary("micad"), &program).unwrap();
    let mut command = Command::new(&program);
    command.args(daemon.command().get_args());
    daemon.launch_until_ready(command);
    fs::remove_file(&program).unwrap();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    daemon.console("echo").read_to("H");
    client.stop("echo").await.unwrap();
}

#[tokio::test]
async fn a_paused_guest_is_still_paused_after_a_restart() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    client.pause("echo").await.unwrap();
    daemon.end(Signal::TERM);
    daemon.launch();
    assert_eq!(client.status("echo").await.unwrap().state, ClientState::Suspended);
    client.resume("echo").await.unwrap();
    daemon.console("echo").read_to("H");
}

#[tokio::test]
async fn a_power_off_without_a_daemon_is_reported_by_the_next() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("demo", &crate::harness::demo()).await;
    let mut console = daemon.console("demo");
    console.read_to("micrun> ");
    daemon.end(Signal::KILL);
    console.write(b"exit 9\r");
    daemon.launch();
    let report = client.wait("demo").await.unwrap();
    assert_eq!((report.status, report.reason), (9, ExitReason::Exited));
}

#[tokio::test]
async fn a_qemu_that_died_without_a_daemon_is_reported_by_the_next() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let pid = client.stats("x").await.unwrap().pid;
    daemon.end(Signal::TERM);
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("QEMU is gone", || !is_alive(pid)).await;
    daemon.launch();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Killed));
    // Its console can be read as after any end.
    daemon.console("x").rest();
    // The end of a run is not that of the next one.
    client.start("x").await.unwrap();
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
}

#[tokio::test]
async fn an_end_is_remembered_across_restarts() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    let report = client.wait("x").await.unwrap();
    daemon.end(Signal::TERM);
    daemon.launch();
    assert_eq!(client.wait("x").await.unwrap(), report);
    // Its console is there until the client is removed.
    assert_eq!(daemon.console("x").rest(), b"");
    client.remove("x").await.unwrap();
    assert!(fs::symlink_metadata(daemon.run_dir().join("ttyRPMSG_x_0")).is_err());
}

/// A shim removes the firmware of a container that is deleted, also when no daemon is there to remove the client.
#[tokio::test]
async fn a_client_whose_firmware_is_gone_is_forgotten() {
    let mut daemon = Daemon::start();
    let firmware = tiny_elf::spins(daemon.dir());
    let client = daemon.boot("ended", &firmware).await;
    daemon.create("idle", &firmware).await;
    let running = daemon.boot("running", &firmware).await;
    let pid = client.stats("ended").await.unwrap().pid;
    daemon.end(Signal::KILL);
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("it has ended", || !is_alive(pid)).await;
    fs::remove_file(&firmware).unwrap();
    daemon.launch();
    // What still runs does not need its file.
    assert_eq!(running.status("running").await.unwrap().state, ClientState::Running);
    let left = fs::read_dir(daemon.run_dir().join("clients")).unwrap().flatten();
    assert_eq!(left.map(|entry| entry.file_name()).collect::<Vec<_>>(), ["running"], "{}", daemon.log());
    for name in ["ended", "idle"] {
        assert!(client.status(name).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn a_qemu_that_was_not_written_down_is_ended() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::spins(daemon.dir())).await;
    let pid = client.stats("x").await.unwrap().pid;
    daemon.kill_before_it_writes("x", "/run/ports/0/broker/pid");
    daemon.launch();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    eventually("QEMU is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_state_that_cannot_be_read_stops_nobody() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("good", &tiny_elf::echo(daemon.dir())).await;
    daemon.end(Signal::TERM);
    for (name, text) in [("bad", "{"), ("old", r#"{"version":0}"#)] {
        let dir = daemon.run_dir().join("clients").join(name);
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("state.json"), text).unwrap();
    }
    daemon.launch();
    assert_eq!(client.status("good").await.unwrap().state, ClientState::Running);
    assert_eq!(client.list().await.unwrap().clients.len(), 1);
    assert!(daemon.log().contains("clients/bad: not taken over"), "{}", daemon.log());
}
