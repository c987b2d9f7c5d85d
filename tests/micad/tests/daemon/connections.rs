//! Connections that are slow, silent, hostile or not allowed.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libmica::{CreateMessage, Timeouts};

use micrun_host_tests::isolation;
use rustix::process::{Resource, Rlimit, Uid, getrlimit, setrlimit};

use crate::harness::{Daemon, PATIENCE, message};
use crate::tiny_elf;

#[tokio::test]
async fn silent_connections_disturb_nobody_and_are_dropped() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    let mut silent: Vec<_> =
        (0..25).flat_map(|_| ["mica-create.socket", "x.socket"]).map(|s| daemon.connect(s)).collect();
    client.start("x").await.unwrap();
    client.status("x").await.unwrap();
    client.list().await.unwrap();
    for connection in &mut silent {
        let mut reply = String::new();
        connection.read_to_string(&mut reply).unwrap();
        assert_eq!(reply, "no request within 5sMICA-FAILED");
    }
}

/// They once closed the create socket for a minute: each had to be given up before a later one was looked at.
#[tokio::test]
async fn a_flood_of_silent_connections_closes_no_socket_and_keeps_no_memory() {
    const FLOOD: usize = 3000;
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).unwrap();
    let daemon = Daemon::start();
    let client = daemon.client().with_timeouts(Timeouts { other: PATIENCE, ..Timeouts::default() });
    client.list().await.unwrap();
    let before = memory(&daemon);
    let silent: Vec<_> = (0..FLOOD).map(|_| daemon.connect("mica-create.socket")).collect();
    client.list().await.unwrap();
    let given_up = silent.into_iter().filter(|connection| {
        connection.set_nonblocking(true).unwrap();
        let mut reply = String::new();
        // What has no answer yet is no error here.
        let _ = (&*connection).read_to_string(&mut reply);
        reply.contains("no request within")
    });
    assert!(given_up.count() <= 64, "they were waited for");
    client.list().await.unwrap();
    let after = memory(&daemon);
    assert!(after < before + 2048, "{before} kB before, {after} kB after");
}

/// The daemon's own memory in kB.
fn memory(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim_end_matches("kB").trim().parse().unwrap()
}

/// Silence costs the user who is silent.
#[tokio::test]
async fn silent_connections_of_one_user_cost_no_other() {
    let daemon = Daemon::start_with(&["--allow-uid", "65534"]);
    let mut of_root = daemon.connect("mica-create.socket");
    open_to_nobody(&daemon, "mica-create.socket");
    let socket = daemon.run_dir().join("mica-create.socket");
    let flood = std::thread::spawn(move || {
        let nobody = Uid::from_raw(65534);
        // Of this thread alone.
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        (0..500).map(|_| UnixStream::connect(&socket).unwrap()).collect::<Vec<_>>()
    });
    let mut of_nobody = flood.join().unwrap();
    let mut reply = String::new();
    of_nobody[0].read_to_string(&mut reply).unwrap();
    assert!(reply.contains("user 65534 has newer connections"), "{reply}");
    of_root.write_all(b"list").unwrap();
    let mut reply = String::new();
    of_root.read_to_string(&mut reply).unwrap();
    // The machine may have stood still for longer than a silent connection may stay.
    assert!(reply.contains("clients") || reply.contains("no request within"), "{reply}");
}

#[tokio::test]
async fn a_client_that_does_not_read_disturbs_nobody() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    let mut deaf: Vec<_> = (0..20).map(|_| daemon.connect("x.socket")).collect();
    for connection in &mut deaf {
        connection.write_all(b"status").unwrap();
    }
    client.status("x").await.unwrap();
}

#[tokio::test]
async fn waiting_connections_that_go_away_are_forgotten() {
    let daemon = Daemon::start();
    daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let fds = || fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count();
    let mut waiting: Vec<_> = (0..10).map(|_| daemon.connect("x.socket")).collect();
    for connection in &mut waiting {
        connection.write_all(b"wait").unwrap();
    }
    // Connections are accepted in their order: once a later one has its answer, all are.
    daemon.ask("x.socket", b"status");
    let with_all = fds();
    drop(waiting);
    crate::harness::eventually("all connections are closed", || fds() <= with_all - 10).await;
}

#[tokio::test]
async fn half_closed_connections_get_their_reply() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &tiny_elf::echo(daemon.dir())).await;
    let mut waiting = daemon.connect("x.socket");
    waiting.write_all(b"wait").unwrap();
    waiting.shutdown(std::net::Shutdown::Write).unwrap();
    client.stop("x").await.unwrap();
    let mut reply = String::new();
    waiting.read_to_string(&mut reply).unwrap();
    assert!(reply.ends_with("MICA-SUCCESS"), "{reply}");
}

#[tokio::test]
async fn messages_that_are_no_messages() {
    let daemon = Daemon::start();
    daemon.create("x", &tiny_elf::echo(daemon.dir())).await;
    for length in [1, 164, 324, 328, 980, 1304, 1500, 1771, 1773, 1824, 65536] {
        let reply = daemon.ask("mica-create.socket", &vec![1; length]);
        assert!(reply.contains("1772 bytes") && reply.ends_with("MICA-FAILED"), "{length}: {reply}");
    }
    assert!(daemon.ask("mica-create.socket", &[0; 1500]).contains("layout of 2025-11"));
    assert_eq!(daemon.ask("x.socket", b"dance"), "Invalid command: danceMICA-FAILED");
    assert_eq!(daemon.ask("x.socket", b"start\n"), "Invalid command: start\nMICA-FAILED");
    assert_eq!(
        daemon.ask("x.socket", b"set Memory"),
        "Invalid set command. Usage: set <key> <value>MICA-FAILED"
    );
    assert!(daemon.ask("x.socket", &[b'x'; 33]).ends_with("MICA-FAILED"));
    let refusal = daemon.ask("x.socket", b"gdb");
    assert!(refusal.contains("put `Debug = yes` into [Mica] of its client.conf"), "{refusal}");
    // An empty message is one as well: whoever closes at once has asked nothing, and is answered all the same.
    let mut empty = daemon.connect("mica-create.socket");
    empty.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = String::new();
    empty.read_to_string(&mut reply).unwrap();
    assert!(reply.contains("the message is empty"), "{reply}");
}

#[tokio::test]
async fn a_create_message_in_pieces_is_put_together() {
    let daemon = Daemon::start();
    let bytes = message("pieces", &tiny_elf::echo(daemon.dir())).encode().unwrap();
    let mut stream = daemon.connect("mica-create.socket");
    for piece in bytes.chunks(700) {
        stream.write_all(piece).unwrap();
    }
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_eq!(reply, "MICA-SUCCESS");
}

#[tokio::test]
async fn a_file_name_cannot_fake_success() {
    let daemon = Daemon::start();
    let hostile = CreateMessage { ..message("x", "/MICA-SUCCESS".as_ref()) };
    let reply = daemon.ask("mica-create.socket", &hostile.encode().unwrap());
    assert_eq!(reply, "No such file: /MICA_SUCCESSMICA-FAILED");
}

/// Opens the way to a socket to other users.
pub(crate) fn open_to_nobody(daemon: &Daemon, socket: &str) {
    for (path, mode) in
        [(daemon.dir().to_owned(), 0o755), (daemon.run_dir(), 0o755), (daemon.run_dir().join(socket), 0o666)]
    {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// Runs `mica` as another user.
pub(crate) fn as_nobody(daemon: &Daemon, arguments: &[&str]) -> std::process::Output {
    open_to_nobody(daemon, "mica-create.socket");
    let mut command = Command::new(isolation::binary("mica"));
    command.uid(65534).gid(65534).arg("--runtime-dir").arg(daemon.run_dir()).args(arguments);
    command.output().unwrap()
}

#[test]
fn another_user_is_refused() {
    let daemon = Daemon::start();
    let output = as_nobody(&daemon, &["list"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && error.contains("user 65534 may not use the mica daemon"), "{error}");
}

#[test]
fn another_user_can_be_allowed() {
    let daemon = Daemon::start_with(&["--allow-uid", "65534"]);
    let output = as_nobody(&daemon, &["list", "--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What `mica` says to a user, whom the directory around the daemon's own lets through.
fn as_user(daemon: &Daemon, uid: u32, arguments: &[&str]) -> Result<String, String> {
    fs::set_permissions(daemon.dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(isolation::binary("mica"));
    command.uid(uid).gid(uid).arg("--runtime-dir").arg(daemon.run_dir()).args(arguments);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Nothing but the list opens the directory and the sockets to its users: those made before a client and those after.
#[tokio::test]
async fn users_of_the_list_reach_the_daemon_and_its_clients_and_nobody_else_does() {
    let daemon = Daemon::start_with(&["--allow-uid", "65534", "--allow-uid", "65533"]);
    daemon.boot("x", &crate::tiny_elf::echo(daemon.dir())).await;
    for uid in [65533, 65534] {
        assert!(as_user(&daemon, uid, &["ps"]).unwrap().contains('x'));
        for arguments in [&["status"][..], &["stop", "x"], &["start", "x"], &["version"]] {
            as_user(&daemon, uid, arguments).unwrap();
        }
    }
    for arguments in [&["ps"][..], &["status"], &["stop", "x"]] {
        let refusal = as_user(&daemon, 65532, arguments).unwrap_err();
        assert!(refusal.contains("have root add the user to AllowedUids in micad.conf"), "{refusal}");
    }
    // Neither the state nor the firmware is anybody's.
    assert_eq!(fs::metadata(daemon.run_dir().join("clients")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn sockets_are_for_the_owner_alone() {
    let daemon = Daemon::start();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(daemon.run_dir()), 0o700);
    assert_eq!(mode(daemon.run_dir().join("mica-create.socket")), 0o600);
    assert_eq!(mode(daemon.run_dir().join("clients")), 0o700);
}
