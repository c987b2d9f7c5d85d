//! `mica events`: what happens, in order, to any number of readers.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use libmica::Client;
use micrun_host_tests::firmware::patched_demo;
use micrun_host_tests::isolation;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Daemon, demo, message};
use crate::tiny_elf;
use crate::watch::said;

/// A `mica events` that watches already.
struct Watcher {
    child: Child,
    lines: BufReader<ChildStdout>,
    last: u64,
}

impl Watcher {
    fn start(daemon: &Daemon, arguments: &[&str]) -> Self {
        let mut command = Command::new(isolation::binary("mica"));
        command.arg("--runtime-dir").arg(daemon.run_dir()).args(["events", "--json"]).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut watcher = Self { child, lines, last: 0 };
        let opening = watcher.read().unwrap();
        assert_eq!(opening["event"], "watching", "{opening}");
        watcher.last = opening["seq"].as_u64().unwrap();
        watcher
    }

    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        (!line.is_empty()).then(|| serde_json::from_str(&line).unwrap())
    }

    /// The next event, which follows the last one.
    fn next(&mut self) -> Value {
        let event = self.read().unwrap();
        self.last += 1;
        assert_eq!(event["seq"], self.last, "{event}");
        event
    }

    /// The next event is this one of that client.
    fn expect(&mut self, name: &str, client: &str) -> Value {
        let event = self.next();
        assert_eq!((&event["event"], &event["client"]), (&name.into(), &client.into()), "{event}");
        event
    }

    /// The daemon has said that it goes down, and the command has succeeded.
    fn ends(mut self) {
        assert_eq!(self.next()["event"], "ending");
        assert_eq!(self.read(), None);
        assert!(self.child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn the_life_of_a_client_is_told_in_order_to_all_who_watch() {
    let mut daemon = Daemon::start();
    let mut watchers = [Watcher::start(&daemon, &[]), Watcher::start(&daemon, &[])];
    let firmware = demo();
    let client = daemon.boot("x", &firmware).await;
    daemon.console("x").read_to("micrun> ");
    let pid = client.stats("x").await.unwrap().pid;
    client.pause("x").await.unwrap();
    client.resume("x").await.unwrap();
    client.diagnose("x", true).await.unwrap();
    said(&daemon, &["patch", "x", patched_demo().to_str().unwrap()]);
    client.stop("x").await.unwrap();
    client.remove("x").await.unwrap();
    for watcher in &mut watchers {
        assert_eq!(watcher.expect("created", "x")["pedestal"], "qemu");
        let started = watcher.expect("started", "x");
        assert_eq!((&started["pid"], &started["starts"]), (&pid.into(), &1.into()));
        watcher.expect("paused", "x");
        watcher.expect("resumed", "x");
        assert!(watcher.expect("silent", "x")["diagnosis"]["detail"].is_string());
        assert!(watcher.expect("patched", "x")["patch"]["bytes"].as_u64().unwrap() > 0);
        let exited = watcher.expect("exited", "x");
        assert_eq!(exited["exit"]["reason"], "stopped", "{exited}");
        assert!(exited["exit"]["detail"].as_str().unwrap().contains("patched to sha256:"), "{exited}");
        watcher.expect("removed", "x");
    }
    daemon.end(Signal::TERM);
    watchers.into_iter().for_each(Watcher::ends);
}

#[tokio::test]
async fn what_firmware_does_by_itself_and_what_fails_is_told_as_well() {
    let daemon = Daemon::start();
    let broken = daemon.path("broken.elf");
    fs::write(&broken, "no firmware").unwrap();
    let mut all = Watcher::start(&daemon, &[]);
    let mut child = Command::new(isolation::binary("mica"));
    child.arg("--runtime-dir").arg(daemon.run_dir()).args(["events", "seven"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut text = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(text.next().unwrap().contains("watching a daemon that began at "));
    daemon.create("broken", &broken).await.start("broken").await.unwrap_err();
    let client = daemon.boot("seven", &tiny_elf::exits(daemon.dir(), 0, 7)).await;
    client.wait("seven").await.unwrap();
    all.expect("created", "broken");
    let failed = all.expect("failed", "broken");
    assert!(failed["detail"].as_str().unwrap().contains("broken.elf"), "{failed}");
    all.expect("created", "seven");
    all.expect("started", "seven");
    let exit = all.expect("exited", "seven")["exit"].clone();
    assert_eq!((&exit["status"], &exit["reason"]), (&7.into(), &"exited".into()));
    // By name, and for people.
    for words in ["seven: created on qemu", "seven: started, process ", "seven: exited, 7 exited: "] {
        let line = text.next().unwrap();
        assert!(line.contains(words), "{line}");
    }
    // A reader that goes away ends the command by itself, or by its next line.
    drop(text);
    client.remove("seven").await.unwrap();
    assert!(child.wait().unwrap().success());
}

/// Has `count` clients come and go: two events each.
async fn come_and_go(client: &Client, firmware: &Path, count: usize) {
    for number in 0..count {
        let name = format!("c{number}");
        client.create(&message(&name, firmware)).await.unwrap();
        client.remove(&name).await.unwrap();
    }
}

#[tokio::test]
async fn a_burst_of_a_thousand_events_reaches_a_reader_that_comes_to_it_later() {
    let daemon = Daemon::start();
    let firmware = tiny_elf::spins(daemon.dir());
    let mut watcher = Watcher::start(&daemon, &[]);
    come_and_go(&daemon.client(), &firmware, 500).await;
    for number in 0..500 {
        watcher.expect("created", &format!("c{number}"));
        watcher.expect("removed", &format!("c{number}"));
    }
}

#[tokio::test]
async fn a_reader_that_does_not_read_is_told_what_it_missed_and_holds_nobody_up() {
    const CLIENTS: usize = 1600;
    let mut daemon = Daemon::start();
    let firmware = tiny_elf::spins(daemon.dir());
    let mut deaf = daemon.connect("mica-create.socket");
    deaf.write_all(b"events").unwrap();
    let mut lines = BufReader::new(deaf);
    let mut opening = String::new();
    lines.read_line(&mut opening).unwrap();
    come_and_go(&daemon.client(), &firmware, CLIENTS).await;
    daemon.client().list().await.unwrap();
    let mut seen = 0;
    let mut missed = 0;
    while seen < 2 * CLIENTS as u64 {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        let event: Value = serde_json::from_str(&line).unwrap();
        match event["count"].as_u64() {
            Some(count) => {
                assert_eq!(event["event"], "missed");
                missed += count;
                seen += count;
            }
            None => seen += 1,
        }
        assert_eq!(event["seq"], seen, "{event}");
    }
    assert!(missed > 0, "{CLIENTS} clients were not too many for it");
    // It is no hindrance to the daemon's end, and not told of one that did not come in order.
    daemon.kill();
    let mut rest = String::new();
    lines.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
    daemon.reap();
}

#[test]
fn a_reader_that_never_reads_does_not_keep_the_daemon() {
    let mut daemon = Daemon::start();
    let mut deaf = daemon.connect("mica-create.socket");
    deaf.write_all(b"events").unwrap();
    let mut one = [0];
    deaf.read_exact(&mut one).unwrap();
    assert!(daemon.end(Signal::TERM).success());
}

#[tokio::test]
async fn events_of_a_daemon_that_is_killed_do_not_end_in_order() {
    let mut daemon = Daemon::start();
    let mut command = Command::new(isolation::binary("mica"));
    command.arg("--runtime-dir").arg(daemon.run_dir()).arg("events");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut String::new()).unwrap();
    daemon.kill();
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("the daemon was killed"), "{error}");
    daemon.reap();
}
