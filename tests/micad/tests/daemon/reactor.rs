//! One client never waits for another. What is asserted is the order in which things happen, never how long they take:
//! what must not be waited for is made to last until the test has seen the answer that must come before it.

use std::fs::{self, File};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use libmica::{Client, ClientState, CreateMessage, Launch};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use rustix::process::Signal;
use tokio::task::{JoinHandle, JoinSet};

use crate::harness::{Daemon, demo, eventually, message};
use crate::tiny_elf;

/// Clients that start at the same time.
const STARTS: usize = 20;
/// Size of a large firmware in MiB.
const LARGE: usize = 96;

/// A pipe that takes no byte more until it is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    while writer.write(&[0; 4096]).is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    (reader, writer)
}

/// The descriptors of the daemon that lead there.
fn open_in(daemon: &Daemon, link: &Path) -> usize {
    let open = fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap();
    open.flatten().filter(|fd| fs::read_link(fd.path()).is_ok_and(|found| found == link)).count()
}

/// What `/proc` calls the pipe.
fn name_of(pipe: &impl AsFd) -> PathBuf {
    use std::os::fd::AsRawFd;
    fs::read_link(format!("/proc/self/fd/{}", pipe.as_fd().as_raw_fd())).unwrap()
}

/// Whether a process of the daemon is on its way to its program.
fn is_forking(daemon: &Daemon) -> bool {
    daemon.children().into_iter().any(|pid| {
        fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| !name.starts_with("qemu"))
    })
}

/// Each start joins a cgroup, which lasts until the test lets it: a pipe stands for the `cgroup.procs` file.
#[tokio::test]
async fn nobody_waits_for_twenty_clients_that_start() {
    let daemon = Daemon::start();
    let spins = tiny_elf::spins(daemon.dir());
    let client = daemon.boot("running", &spins).await;
    let (mut reader, writer) = full_pipe();
    let mut starts = JoinSet::new();
    for number in 0..STARTS {
        let name = format!("start{number}");
        let client = daemon.create(&name, &spins).await;
        let launch = Launch { cgroups: vec![writer.try_clone().unwrap().into()], ..Launch::default() };
        starts.spawn(async move { client.launch(&name, &launch).await });
    }
    drop(writer);
    eventually("a process waits for its cgroup", || is_forking(&daemon)).await;

    let list = client.list().await.unwrap();
    assert_eq!(list.clients.len(), STARTS + 1);
    for number in 0..STARTS {
        let status = client.status(&format!("start{number}")).await.unwrap();
        assert_eq!(status.state, ClientState::Offline, "it has not started yet");
    }
    client.create(&message("new", &spins)).await.unwrap();
    client.remove("new").await.unwrap();
    client.pause("running").await.unwrap();
    client.stop("running").await.unwrap();
    assert!(starts.try_join_next().is_none(), "a start was answered before its cgroup was joined");

    // Now all of them go on.
    tokio::task::spawn_blocking(move || reader.read_to_end(&mut Vec::new()));
    while let Some(started) = starts.join_next().await {
        started.unwrap().unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    }
}

/// A daemon that copies the firmware on the thread that answers has closed the file by the time of any answer.
#[tokio::test]
async fn nobody_waits_for_a_large_firmware() {
    let daemon = Daemon::start();
    let large = tiny_elf::spins(daemon.dir());
    // Zeros would not be copied.
    let mut file = File::options().append(true).open(&large).unwrap();
    let mib = vec![0xa5; 1 << 20];
    (0..LARGE).for_each(|_| file.write_all(&mib).unwrap());
    let client = daemon.create("large", &large).await;
    let mut answered_meanwhile = 0;
    // The machine may stand still for just the moment of a copy.
    for _ in 0..10 {
        let start = tokio::spawn({
            let client = client.clone();
            async move { client.start("large").await }
        });
        eventually("the firmware is read", || start.is_finished() || open_in(&daemon, &large) > 0).await;
        client.status("large").await.unwrap();
        client.list().await.unwrap();
        answered_meanwhile += open_in(&daemon, &large);
        start.await.unwrap().unwrap();
        client.stop("large").await.unwrap();
        if answered_meanwhile > 0 {
            return;
        }
    }
    panic!("no answer came while the firmware was copied");
}

/// What the daemon's first thread has had of a processor, in nanoseconds.
fn first_thread(daemon: &Daemon) -> u64 {
    let pid = daemon.pid();
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
    text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap()
}

/// Not even to free its memory, which takes 30 ms for 250 MiB. Its time of the processor is no
/// longer on a machine that stalls.
#[tokio::test]
async fn the_first_thread_has_nothing_to_do_with_the_size_of_a_firmware() {
    let daemon = Daemon::start();
    let small = tiny_elf::spins(daemon.dir());
    let large = daemon.path("large.elf");
    let mut file = File::create(&large).unwrap();
    file.write_all(&fs::read(&small).unwrap()).unwrap();
    let mib = vec![0xa5; 1 << 20];
    (0..2 * LARGE).for_each(|_| file.write_all(&mib).unwrap());
    let client = daemon.create("small", &small).await;
    daemon.create("large", &large).await;
    // The least of some rounds, in turn: a busy machine adds to some of them.
    let mut times = [u64::MAX; 2];
    for _ in 0..4 {
        for (name, time) in ["small", "large"].into_iter().zip(&mut times) {
            let before = first_thread(&daemon);
            client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
            client.stop(name).await.unwrap();
            *time = (*time).min(first_thread(&daemon) - before);
        }
    }
    let [small, large] = times.map(|time| time / 1000);
    assert!(large < 3 * small, "{large} us for a large firmware, {small} us for a small one");
}

/// A checkpoint of a machine whose state does not fit a pipe, into one that nobody reads.
async fn stuck_checkpoint(daemon: &Daemon) -> (Client, PipeReader, JoinHandle<libmica::Result<()>>) {
    let client = daemon.client();
    client.create(&CreateMessage { memory: 256, ..message("one", &demo()) }).await.unwrap();
    client.start("one").await.unwrap();
    daemon.console("one").read_to("micrun> ");
    let (reader, writer) = full_pipe();
    let name = name_of(&writer);
    let checkpoint = tokio::spawn({
        let client = client.clone();
        async move { client.checkpoint("one", writer.as_fd()).await }
    });
    eventually("the daemon has the pipe", || open_in(daemon, &name) > 0).await;
    (client, reader, checkpoint)
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_reader_of_a_checkpoint() {
    let daemon = Daemon::start();
    let (client, reader, checkpoint) = stuck_checkpoint(&daemon).await;
    client.list().await.unwrap();
    assert!(!checkpoint.is_finished());
    client.stop("one").await.unwrap();
    let refusal = checkpoint.await.unwrap().unwrap_err().to_string();
    assert!(refusal.contains("told to stop"), "{refusal}");
    // The client is as after any stop.
    client.start("one").await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    client.remove("one").await.unwrap();
    drop(reader);
}

#[tokio::test]
async fn a_removal_does_not_wait_for_the_reader_of_a_checkpoint() {
    let daemon = Daemon::start();
    let (client, reader, checkpoint) = stuck_checkpoint(&daemon).await;
    client.remove("one").await.unwrap();
    checkpoint.await.unwrap().unwrap_err();
    assert!(client.list().await.unwrap().clients.is_empty());
    drop(reader);
}

#[tokio::test]
async fn firmware_runs_on_when_the_daemon_ends_in_a_checkpoint() {
    let mut daemon = Daemon::start();
    let (client, reader, checkpoint) = stuck_checkpoint(&daemon).await;
    assert!(daemon.end(Signal::TERM).success());
    checkpoint.await.unwrap().unwrap_err();
    daemon.launch();
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
    let mut console = daemon.console("one");
    console.write(b"echo alive\r");
    console.read_to("\r\nalive\r\n");
    drop(reader);
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_its_checkpoint_only() {
    let daemon = Daemon::start();
    let (client, reader, checkpoint) = stuck_checkpoint(&daemon).await;
    drop(reader);
    let refusal = checkpoint.await.unwrap().unwrap_err().to_string();
    assert!(refusal.contains("cannot write the machine's state"), "{refusal}");
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
    let mut console = daemon.console("one");
    console.write(b"echo alive\r");
    console.read_to("\r\nalive\r\n");
    let file = tempfile::tempfile().unwrap();
    client.checkpoint("one", file.as_fd()).await.unwrap();
    assert!(file.metadata().unwrap().len() > 10_000);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_writer_of_a_snapshot() {
    let daemon = Daemon::start();
    let client = daemon.create("one", &demo()).await;
    let (reader, writer) = pipe().unwrap();
    let name = name_of(&writer);
    let restore = tokio::spawn({
        let client = client.clone();
        let launch = Launch { snapshot: Some(reader.into()), ..Launch::default() };
        async move { client.launch("one", &launch).await }
    });
    eventually("the daemon has the pipe", || open_in(&daemon, &name) > 0).await;
    client.stop("one").await.unwrap();
    let refusal = restore.await.unwrap().unwrap_err().to_string();
    assert!(refusal.contains("told to stop"), "{refusal}");
    client.start("one").await.unwrap();
    drop(writer);
}

#[tokio::test]
async fn a_state_passes_through_pipes() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &demo()).await;
    let mut console = daemon.console("one");
    console.read_to("micrun> ");
    console.write(b"echo kept in mem");
    console.read_to("kept in mem");
    let (mut reader, writer) = pipe().unwrap();
    let state = tokio::task::spawn_blocking(move || {
        let mut state = Vec::new();
        reader.read_to_end(&mut state).map(|_| state)
    });
    client.checkpoint("one", writer.as_fd()).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    drop(writer);
    let state = state.await.unwrap().unwrap();
    client.stop("one").await.unwrap();

    let (reader, mut writer) = pipe().unwrap();
    let written = tokio::task::spawn_blocking(move || writer.write_all(&state));
    client.launch("one", &Launch { snapshot: Some(reader.into()), ..Launch::default() }).await.unwrap();
    written.await.unwrap().unwrap();
    let mut console = daemon.console("one");
    console.write(b"ory\r");
    assert!(console.read_to("micrun> ").contains("\r\nkept in memory\r\n"));
}

#[tokio::test]
async fn a_state_needs_a_file_or_a_pipe() {
    let daemon = Daemon::start();
    let client = daemon.boot("one", &tiny_elf::spins(daemon.dir())).await;
    let (_peer, socket) = std::os::unix::net::UnixStream::pair().unwrap();
    let socket = OwnedFd::from(socket);
    let refusal = client.checkpoint("one", socket.as_fd()).await.unwrap_err().to_string();
    assert!(refusal.contains("needs a file or a pipe"), "{refusal}");
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
}
