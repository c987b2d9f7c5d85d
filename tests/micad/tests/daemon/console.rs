//! The console is a transparent pipe that loses nothing.

use std::sync::Mutex;
use std::time::Duration;

use libmica::ClientState;
use libmica::attach::Chunk;
use libmica::ext::ExitReason;
use tokio::time::timeout;

use crate::harness::{Daemon, demo, hold, is_alive, until_blocked};
use crate::tiny_elf;

const MEGABYTE: u32 = 1 << 20;
/// More than firmware writes in a test.
const ENDLESS: u32 = u32::MAX;

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
    assert_eq!(client.wait("flood").await.unwrap().reason, ExitReason::Exited);
    let bytes = console.read_until(|b| b.len() >= MEGABYTE as usize);
    assert!(bytes == tiny_elf::flood_bytes(MEGABYTE as usize), "bytes were lost or changed");
    assert_eq!(console.rest(), b"");
}

#[tokio::test]
async fn what_was_not_read_survives_the_end_of_the_run() {
    const COUNT: u32 = 20_000;
    let daemon = Daemon::start();
    let client = daemon.boot("flood", &tiny_elf::flood(daemon.dir(), COUNT)).await;
    client.wait("flood").await.unwrap();
    let bytes = daemon.console("flood").read_until(|b| b.len() >= COUNT as usize);
    assert!(bytes == tiny_elf::flood_bytes(COUNT as usize), "{} of {COUNT} bytes", bytes.len());
    // The next run starts with an empty console.
    client.start("flood").await.unwrap();
    client.wait("flood").await.unwrap();
    let again = daemon.console("flood").read_until(|b| b.len() >= COUNT as usize);
    assert_eq!(again, bytes);
}

#[tokio::test]
async fn a_guest_blocked_by_its_console_blocks_nobody_and_is_stopped() {
    let daemon = Daemon::forgetful();
    let client = daemon.boot("full", &tiny_elf::flood(daemon.dir(), ENDLESS)).await;
    let _held = hold(&client, "full").await;
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
    let daemon = Daemon::forgetful();
    let client = daemon.boot("full", &tiny_elf::flood(daemon.dir(), ENDLESS)).await;
    let held = hold(&client, "full").await;
    let error = until_blocked(&client, "full").await;
    assert!(error.contains("is its console full?"), "{error}");
    assert_eq!(client.status("full").await.unwrap().state, ClientState::Running);
    // Once QEMU can go on, it pauses; only then does the status say so.
    let (mut output, _input) = held.split();
    let mut position = 0;
    while client.status("full").await.unwrap().state == ClientState::Running {
        if let Ok(chunk) = timeout(Duration::from_millis(5), output.next()).await {
            position = checked(&chunk.unwrap().unwrap(), position);
        }
    }
    assert_eq!(client.status("full").await.unwrap().state, ClientState::Suspended);
    client.resume("full").await.unwrap();
    let enough = position + u64::from(MEGABYTE);
    while position < enough {
        position = checked(&output.next().await.unwrap().unwrap(), position);
    }
}

/// The position behind a chunk of a flood, which continues at `position` with the right bytes, or later with the first.
fn checked(chunk: &Chunk, position: u64) -> u64 {
    assert!(chunk.position == position || position == 0, "{} bytes are lost", chunk.position - position);
    for (number, byte) in (chunk.position..).zip(&chunk.bytes) {
        assert_eq!(*byte, number.to_le_bytes()[0], "at {number}");
    }
    chunk.position + chunk.bytes.len() as u64
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
