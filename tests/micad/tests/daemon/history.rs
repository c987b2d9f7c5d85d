//! How runs ended, long after.

use std::fs::{self, File};
use std::io::Write;

use libmica::ClientState;
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, eventually, is_alive, message, mica};
use crate::tiny_elf;
use crate::watch::{document, row};

/// The statuses of the ends that `inspect` shows.
fn statuses(daemon: &Daemon, name: &str) -> Vec<u64> {
    let seen = document(daemon, &["inspect", name]);
    let history = seen["history"].as_array().unwrap_or_else(|| panic!("{seen}"));
    history.iter().map(|end| end["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn the_history_of_a_client_outlives_the_client_and_the_daemon() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("x").await.unwrap();
    client.remove("x").await.unwrap();
    // A new client of that name goes on with it.
    client.create(&message("x", &tiny_elf::exits(daemon.dir(), 0, 9))).await.unwrap();
    client.start("x").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!(statuses(&daemon, "x"), [7, 9]);
    client.remove("x").await.unwrap();
    for signal in [Signal::TERM, Signal::KILL] {
        daemon.end(signal);
        daemon.launch();
        let seen = document(&daemon, &["inspect", "x"]);
        assert_eq!((&seen["removed"], &seen["name"]), (&true.into(), &"x".into()));
        assert_eq!(statuses(&daemon, "x"), [7, 9]);
        let last = &seen["history"][1];
        assert_eq!(last["exited_at"], report.exited_at, "{last}");
        assert_eq!(last["detail"], report.detail, "{last}");
        assert!(last["began_at"].as_str().unwrap() < report.exited_at.as_str(), "{last}");
    }
    let output = mica(&daemon, &["inspect", "nobody"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no client named \"nobody\""));
}

#[tokio::test]
async fn the_last_words_of_a_console_outlive_the_client_and_the_daemon() {
    const ALL: usize = 6000;
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::flood(daemon.dir(), u32::try_from(ALL).unwrap())).await;
    client.wait("x").await.unwrap();
    client.remove("x").await.unwrap();
    let expected = String::from_utf8_lossy(&tiny_elf::flood_bytes(ALL)[ALL - 4096..]).into_owned();
    for _ in 0..2 {
        let seen = document(&daemon, &["inspect", "x"]);
        assert_eq!(seen["history"][0]["console"], expected, "{seen}");
        let why = mica(&daemon, &["why", "x"]);
        let why = String::from_utf8(why.stdout).unwrap();
        let (_, quoted) = why.split_once("\nconsole\n  ").unwrap_or_else(|| panic!("{why}"));
        // A terminal only shows it.
        assert!(quoted.contains("!\"#$%&'()*+,-./0123456789") && !quoted.contains('\u{1b}'), "{quoted:?}");
        daemon.end(Signal::KILL);
        daemon.launch();
    }
    // A run that shows nothing has none.
    let client = daemon.boot("mute", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("mute").await.unwrap();
    assert!(document(&daemon, &["inspect", "mute"])["history"][0].get("console").is_none());
}

#[tokio::test]
async fn an_end_without_a_daemon_is_in_the_history_once() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let pid = client.stats("x").await.unwrap().pid;
    daemon.end(Signal::KILL);
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    eventually("QEMU is gone", || !is_alive(pid)).await;
    for _ in 0..2 {
        daemon.launch();
        assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
        assert_eq!(statuses(&daemon, "x"), [137]);
        daemon.end(Signal::TERM);
    }
}

#[tokio::test]
async fn only_the_latest_sixteen_ends_are_kept() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    for _ in 0..18 {
        client.start("x").await.unwrap();
        client.wait("x").await.unwrap();
    }
    assert_eq!(statuses(&daemon, "x").len(), 16);
    assert_eq!(row(&daemon, "x")["starts"], 18);
}

#[tokio::test]
async fn a_damaged_history_is_reported_and_begun_anew() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("x").await.unwrap();
    let file = daemon.run_dir().join("history-v1.jsonl");
    daemon.end(Signal::TERM);
    let mut damaged = File::options().append(true).open(&file).unwrap();
    damaged.write_all(b"{\"client\": half\n\0\x80\n").unwrap();
    daemon.launch();
    let words = format!("{}: 2 lines are damaged", file.display());
    assert!(daemon.log().contains(&words), "{}", daemon.log());
    assert_eq!(statuses(&daemon, "x"), [7]);
    // Nor does it matter to a later one.
    daemon.end(Signal::TERM);
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    daemon.launch();
    assert!(daemon.log().contains("the ends of earlier runs are not known"), "{}", daemon.log());
    client.start("x").await.unwrap();
    client.wait("x").await.unwrap();
    assert!(daemon.log().contains("x: its end is not remembered"), "{}", daemon.log());
}
