//! Whom a client costs what: memory, descriptors, and the kernel's mercy.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use libmica::Launch;
use micrun_firmware::{copy, memory_file};
use rustix::event::{PollFd, PollFlags, poll};

use crate::harness::{Daemon, eventually};
use crate::tiny_elf;

const MIB: u64 = 1 << 20;

/// The firmware in a memory file, sealed or not.
fn in_memory(path: &Path, sealed: bool) -> File {
    let memory = memory_file::create().unwrap();
    copy(&File::open(path).unwrap(), &memory, u64::MAX, |_| ()).unwrap();
    if sealed {
        memory_file::seal(&memory).unwrap();
    }
    memory
}

fn with_firmware(firmware: impl Into<OwnedFd>) -> Launch {
    Launch { firmware: Some(firmware.into()), ..Launch::default() }
}

/// The firmware in QEMU's working directory.
fn firmware_of(pid: u32) -> PathBuf {
    format!("/proc/{pid}/cwd/firmware").into()
}

#[tokio::test]
async fn of_firmware_that_comes_sealed_the_file_is_not_read() {
    let daemon = Daemon::start();
    let path = tiny_elf::echo(daemon.dir());
    let client = daemon.create("x", &path).await;
    let firmware = in_memory(&path, true);
    fs::write(&path, "changed").unwrap();
    client.launch("x", &with_firmware(firmware)).await.unwrap();
    assert!(daemon.console("x").read_to("H").ends_with('H'));
}

#[tokio::test]
async fn firmware_that_somebody_could_change_is_refused() {
    let daemon = Daemon::start();
    let path = tiny_elf::echo(daemon.dir());
    let client = daemon.create("x", &path).await;
    let (fifo, _end) = io::pipe().unwrap();
    let others: [OwnedFd; 3] =
        [in_memory(&path, false).into(), File::open(&path).unwrap().into(), fifo.into()];
    for other in others {
        let refusal = client.launch("x", &with_firmware(other)).await.unwrap_err().to_string();
        assert!(refusal.contains("send a sealed memory file"), "{refusal}");
    }
    let reply = daemon.ask("x.socket", b"start firmware");
    assert!(reply.contains("needs an open file that is sent with it"), "{reply}");
    client.start("x").await.unwrap();
}

/// A firmware file of 250 MB that is nearly all hole, or zeros that a layer's unpacking has written out, once cost 250 MB.
#[tokio::test]
async fn a_sparse_firmware_costs_what_it_holds() {
    let daemon = Daemon::start();
    let sparse = tiny_elf::echo(daemon.dir());
    File::options().write(true).open(&sparse).unwrap().set_len(250 * MIB).unwrap();
    let dense = daemon.dir().join("dense.elf");
    fs::copy(&sparse, &dense).unwrap();
    File::options().write(true).open(&dense).unwrap().write_all_at(&vec![0; 8 << 20], 100 * MIB).unwrap();
    for (name, path) in [("sparse", &sparse), ("dense", &dense)] {
        let client = daemon.boot(name, path).await;
        let its = fs::metadata(firmware_of(client.stats(name).await.unwrap().pid)).unwrap();
        assert_eq!(its.len(), 250 * MIB, "{name}");
        assert!(its.blocks() * 512 < MIB, "{name} takes {} blocks", its.blocks());
    }
}

/// Returns when all connections that have been answered are closed.
fn settle(daemon: &Daemon) {
    let mut last = daemon.connect("mica-create.socket");
    last.write_all(b"list").unwrap();
    last.read_to_string(&mut String::new()).unwrap();
    // The reply ends before its connection is closed; those before it are closed by then.
    let mut closed = [PollFd::new(&last, PollFlags::empty())];
    while !closed[0].revents().contains(PollFlags::HUP) {
        poll(&mut closed, None).unwrap();
    }
}

/// Its socket, its console's pty and its broker, QEMU's control socket, and whoever waits for its end. The 167th client once failed.
#[tokio::test]
async fn a_client_costs_five_descriptors() {
    const CLIENTS: usize = 5;
    let daemon = Daemon::start();
    let echo = tiny_elf::echo(daemon.dir());
    let open = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    // What the first start leaves is for all: the root of the emulator's jail.
    daemon.boot("first", &echo).await.remove("first").await.unwrap();
    // Its broker is still held until it has ended.
    eventually("the first one's processes have ended", || daemon.children().is_empty()).await;
    settle(&daemon);
    let before = open();
    let mut waiting = Vec::new();
    for number in 0..CLIENTS {
        let name = format!("x{number}");
        let client = daemon.boot(&name, &echo).await;
        let wait = {
            let name = name.clone();
            tokio::spawn(async move { client.wait(&name).await })
        };
        waiting.push(wait);
        eventually("somebody waits", || open() >= before + 5 * (number + 1)).await;
    }
    eventually("no client costs more", || open() == before + 5 * CLIENTS).await;
    // The limit is what the daemon may have, not what it was started with.
    let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).unwrap();
    let files: Vec<_> =
        limits.lines().find(|line| line.starts_with("Max open files")).unwrap().split_whitespace().collect();
    assert_eq!(files[3], files[4], "{limits}");
    // What it does not hold, it finds when it needs it.
    for (number, wait) in waiting.into_iter().enumerate() {
        daemon.client().stop(&format!("x{number}")).await.unwrap();
        wait.await.unwrap().unwrap();
    }
}

/// QEMU's last words outlive it, though nobody but the daemon has its console open then.
#[tokio::test]
async fn the_last_words_of_a_killed_emulator_can_be_read() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::flood(daemon.dir(), 3000)).await;
    client.wait("x").await.unwrap();
    let bytes = daemon.console("x").read_until(|bytes| bytes.len() == 3000);
    assert_eq!(bytes.last(), Some(&u8::try_from(2999 % 256).unwrap()));
}

#[tokio::test]
async fn the_kernel_kills_firmware_before_the_daemon() {
    let daemon = Daemon::start();
    // As systemd does for `OOMScoreAdjust=`. Root of a container may not: then the daemon has 0.
    let _ = fs::write(format!("/proc/{}/oom_score_adj", daemon.pid()), "-500");
    let echo = tiny_elf::echo(daemon.dir());
    for (name, oom_score, expected) in [("silent", None, "0"), ("asked", Some(700), "700")] {
        let client = daemon.create(name, &echo).await;
        client.launch(name, &Launch { oom_score, ..Launch::default() }).await.unwrap();
        let pid = client.stats(name).await.unwrap().pid;
        let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
        assert_eq!(score.trim(), expected, "{name}");
    }
    let reply = daemon.ask("silent.socket", b"start oom=-900");
    assert_eq!(reply, "Invalid command: start oom=-900MICA-FAILED");
}
