//! The console is a transparent pipe that loses nothing.

use std::sync::Mutex;

use libmica::ClientState;
use libmica::ext::ExitReason;

use crate::harness::{Daemon, demo, eventually, is_alive, until_blocked};
use crate::tiny_elf;

const MEGABYTE: u32 = 1 << 20;

#[tokio::test]
async fn the_banner_is_there_from_its_first_byte() {
    let daemon = Daemon::start();
    daemon.boot("demo", &demo()).await;
    let mut console = daemon.console("demo");
    let text = console.read_to("micrun> ");
    assert!(text.starts_with("micrun FreeRTOS demo\r\n"), "{text:?}");
    console.write(b"echo one two\r");
    let answer = console.read_to("micrun> ");
    assert!(answer.ends_with("one two\r\nmicrun> "), "{answer:?}");
}

#[tokio::test]
async fn every_byte_passes_both_ways() {
    let daemon = Daemon::start();
    daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let mut console = daemon.console("echo");
    console.read_to("H");
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for _ in 0..4 {
        console.write(&all);
        assert_eq!(console.read_until(|b| b.len() >= all.len()), all);
    }
}

#[tokio::test]
async fn a_flood_read_late_is_complete() {
    let daemon = Daemon::start();
    let client = daemon.boot("flood", &tiny_elf::flood(daemon.dir(), MEGABYTE)).await;
    let mut console = daemon.console("flood");
    eventually("the console is full", || console.is_full()).await;
    assert_eq!(client.status("flood").await.unwrap().state, ClientState::Running);
    let bytes = console.read_until(|b| b.len() >= MEGABYTE as usize);
    assert!(bytes == tiny_elf::flood_bytes(MEGABYTE as usize), "bytes were lost or changed");
    assert_eq!(client.wait("flood").await.unwrap().reason, ExitReason::Exited);
    assert_eq!(console.rest(), b"");
}

#[tokio::test]
async fn what_was_not_read_survives_the_end_of_the_run() {
    const COUNT: u32 = 20_000;
    let daemon = Daemon::start();
    let client = daemon.boot("flood", &tiny_elf::flood(daemon.dir(), COUNT)).await;
    client.wait("flood").await.unwrap();
    let bytes = daemon.console("flood").rest();
    assert!(bytes == tiny_elf::flood_bytes(COUNT as usize), "{} of {COUNT} bytes", bytes.len());
    // The next run starts with an empty console.
    client.start("flood").await.unwrap();
    client.wait("flood").await.unwrap();
    assert_eq!(daemon.console("flood").rest().len(), COUNT as usize);
}

#[tokio::test]
async fn a_guest_blocked_by_its_console_blocks_nobody_and_is_stopped() {
    let daemon = Daemon::start();
    let client = daemon.boot("full", &tiny_elf::flood(daemon.dir(), MEGABYTE)).await;
    let pid = client.stats("full").await.unwrap().pid;
    until_blocked(&client, "full").await;
    daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    assert_eq!(daemon.console("echo").read_to("H"), "H");
    let answered = Mutex::new(Vec::new());
    let stop = async {
        client.stop("full").await.unwrap();
        answered.lock().unwrap().push("stop");
    };
    let others = async {
        client.status("echo").await.unwrap();
        client.status("full").await.unwrap();
        client.pause("echo").await.unwrap();
        client.resume("echo").await.unwrap();
        answered.lock().unwrap().push("others");
    };
    tokio::join!(stop, others);
    // QEMU has a second to quit, which it can't: time enough for all others, however slow the machine.
    assert_eq!(*answered.lock().unwrap(), ["others", "stop"]);
    assert!(!is_alive(pid));
}

#[tokio::test]
async fn a_pause_that_comes_late_is_seen_when_it_comes() {
    let daemon = Daemon::start();
    let client = daemon.boot("full", &tiny_elf::flood(daemon.dir(), MEGABYTE)).await;
    let mut console = daemon.console("full");
    let error = until_blocked(&client, "full").await;
    assert!(error.contains("is its console full?"), "{error}");
    assert_eq!(client.status("full").await.unwrap().state, ClientState::Running);
    // Once QEMU can go on, it pauses; only then does the status say so.
    let mut bytes = Vec::new();
    while client.status("full").await.unwrap().state == ClientState::Running {
        bytes.extend(console.rest());
    }
    assert_eq!(client.status("full").await.unwrap().state, ClientState::Suspended);
    client.resume("full").await.unwrap();
    bytes.extend(console.read_until(|b| bytes.len() + b.len() >= MEGABYTE as usize));
    assert!(bytes == tiny_elf::flood_bytes(MEGABYTE as usize), "bytes were lost or changed");
}

/// `flood` starts writing with its first instruction, while QEMU still answers `cont`.
#[tokio::test]
async fn a_flood_from_the_first_instruction_does_not_disturb_start() {
    let daemon = Daemon::start();
    let client = daemon.create("flood", &tiny_elf::flood(daemon.dir(), MEGABYTE)).await;
    for _ in 0..10 {
        client.start("flood").await.unwrap();
        client.stop("flood").await.unwrap();
    }
}
