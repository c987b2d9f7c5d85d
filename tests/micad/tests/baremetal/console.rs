//! The terminals pass every byte, from the first one to the last.

use crate::board::Board;
use crate::harness::{eventually, is_alive};
use crate::kernel::Behaviour;

#[tokio::test]
async fn what_was_written_before_anybody_looked_is_there() {
    let board = Board::stm32(Behaviour::console("first\r\n\x03\x11\x13\0"));
    board.boot("x", "").await;
    let mut console = board.console("x", "rpmsg-tty").await;
    let text = console.read_until(|b| b.len() >= 11);
    assert_eq!(text, b"first\r\n\x03\x11\x13\0");
}

#[tokio::test]
async fn every_byte_passes_both_ways() {
    let board = Board::stm32(Behaviour::console(""));
    board.boot("x", "").await;
    let mut console = board.console("x", "rpmsg-tty").await;
    let all: Vec<u8> = (0..=u8::MAX).collect();
    for _ in 0..4 {
        console.write(&all);
        assert_eq!(board.receive(0, 0, all.len()), all);
        board.print(0, 0, &all);
        assert_eq!(console.read_until(|b| b.len() >= all.len()), all);
    }
}

#[tokio::test]
async fn what_was_not_read_survives_the_end() {
    const COUNT: usize = 300_000;
    let board = Board::stm32(Behaviour::console(""));
    let client = board.boot("x", "").await;
    let device = board.device("x", "rpmsg-tty").await;
    let text: Vec<u8> = (0..COUNT).map(|i| u8::try_from(i % 251).unwrap()).collect();
    board.print(0, 0, &text);
    board.remoteproc(0).exit();
    client.wait("x").await.unwrap();
    let mut console = crate::harness::Console::open(&device);
    assert!(console.read_until(|b| b.len() >= COUNT) == text, "bytes were lost or changed");
    assert_eq!(console.rest(), b"");
    client.remove("x").await.unwrap();
    board.no_process_left().await;
}

#[tokio::test]
async fn the_last_words_of_a_short_run_are_there_when_it_ends() {
    let board = Board::stm32(Behaviour::console("hello, and goodbye"));
    for _ in 0..20 {
        let client = board.daemon.client();
        if client.list().await.unwrap().clients.is_empty() {
            client.create(&board.message("x", "")).await.unwrap();
        }
        client.start("x").await.unwrap();
        let device = board.device("x", "rpmsg-tty").await;
        board.remoteproc(0).exit();
        client.wait("x").await.unwrap();
        // As the shim reads it: everything is in the pty when `wait` has returned.
        assert_eq!(crate::harness::Console::open(&device).rest(), b"hello, and goodbye");
    }
}

#[tokio::test]
async fn further_terminals_are_bound_and_listed() {
    let endpoints = vec![("rpmsg-tty", b"shell".to_vec()), ("rpmsg-tty1", b"exec".to_vec())];
    let board = Board::stm32(Behaviour { endpoints, ..Behaviour::default() });
    let client = board.boot("x", "").await;
    assert_eq!(board.console("x", "rpmsg-tty").await.read_to("shell"), "shell");
    let mut second = board.console("x", "rpmsg-tty1").await;
    assert_eq!(second.read_to("exec"), "exec");
    second.write(b"ps\r");
    assert_eq!(board.receive(0, 1, 3), b"ps\r");
    let own = board.daemon.run_dir().join("ttyRPMSG_x_0");
    let services = client.status("x").await.unwrap().services;
    let names: Vec<_> = services.iter().map(|s| (s.name.as_str(), s.device.clone().unwrap())).collect();
    assert_eq!(names, [("rpmsg-tty", own.clone()), ("rpmsg-tty1", own.with_file_name("ttyRPMSG_x_0.1"))]);
    client.remove("x").await.unwrap();
    assert!(std::fs::symlink_metadata(&names[1].1).is_err());
}

#[tokio::test]
async fn odd_and_too_many_names_do_no_harm() {
    let mut endpoints: Vec<_> =
        ["rpmsg-tty(x) ", "rpmsg raw", "rpmsg-rpc"].map(|name| (name, b"".to_vec())).into();
    endpoints.extend(std::iter::repeat_n(("rpmsg-tty", b"".to_vec()), 40));
    let board = Board::stm32(Behaviour { endpoints, ..Behaviour::default() });
    let client = board.boot("x", "").await;
    board.device("x", "rpmsg-tty").await;
    let services = client.status("x").await.unwrap().services;
    let (terminals, others): (Vec<_>, Vec<_>) = services.iter().partition(|s| s.device.is_some());
    assert_eq!(terminals.len(), 4);
    assert!(terminals.iter().all(|s| s.name == "rpmsg-tty"), "{services:?}");
    // What is no terminal is listed as upstream's daemon lists it, if its name fits the line.
    assert_eq!(others.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["rpmsg-rpc"]);
    client.stop("x").await.unwrap();
}

#[tokio::test]
async fn a_terminal_that_is_announced_again_is_the_same_to_its_reader() {
    let board = Board::stm32(Behaviour::console("one"));
    board.boot("x", "").await;
    let mut console = board.console("x", "rpmsg-tty").await;
    assert_eq!(console.read_to("one"), "one");
    {
        let mut remoteproc = board.remoteproc(0);
        let old = remoteproc.terminals.pop().unwrap();
        remoteproc.withdraw(&old);
        drop(old);
        remoteproc.announce("rpmsg-tty", b"two");
    }
    assert_eq!(console.read_to("two"), "two");
    console.write(b"in");
    assert_eq!(board.receive(0, 0, 2), b"in");
}

#[tokio::test]
async fn terminals_of_another_remoteproc_are_not_mistaken() {
    let board = Board::new(&[("m4", &[]), ("m7", &[])]);
    board.remoteproc(0).behaviour = Behaviour::console("from m4");
    board.remoteproc(1).behaviour = Behaviour::console("from m7");
    board.boot("second", "m7").await;
    board.boot("first", "m4").await;
    assert_eq!(board.console("second", "rpmsg-tty").await.read_to("from m7"), "from m7");
    assert_eq!(board.console("first", "rpmsg-tty").await.read_to("from m4"), "from m4");
}

#[tokio::test]
async fn firmware_may_announce_its_console_late_or_never() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    assert_eq!(client.status("x").await.unwrap().services, []);
    assert_eq!(client.list().await.unwrap().clients[0].tty, None);
    board.remoteproc(0).announce("rpmsg-tty", b"late");
    assert_eq!(board.console("x", "rpmsg-tty").await.read_to("late"), "late");
    eventually("it is written down", || {
        let state = std::fs::read_to_string(board.daemon.run_dir().join("clients/x/state.json")).unwrap();
        state.contains("virtio0.rpmsg-tty.1024.1024")
    })
    .await;
}

/// The process that relays the console of the client `x`.
fn relay_of_x(board: &Board) -> i32 {
    let state = std::fs::read(board.daemon.run_dir().join("clients/x/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let pid = state.pointer("/run/lines/0/carrier/pid").and_then(serde_json::Value::as_i64).unwrap();
    i32::try_from(pid).unwrap()
}

/// A machine that goes down asks every process to end, and waits for those that stay.
#[tokio::test]
async fn a_relay_ends_when_it_is_asked_to() {
    let board = Board::stm32(Behaviour::console("hello"));
    board.boot("x", "").await;
    board.console("x", "rpmsg-tty").await.read_to("hello");
    let pid = relay_of_x(&board);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    eventually("the relay has ended", || !is_alive(pid.unsigned_abs())).await;
}

/// Whoever attacks it by a terminal finds nothing there.
#[tokio::test]
async fn the_relay_is_in_a_jail() {
    let board = Board::stm32(Behaviour::console("hello"));
    board.boot("x", "").await;
    board.console("x", "rpmsg-tty").await.read_to("hello");
    let pid = relay_of_x(&board);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
        line.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(field("Uid")[0].parse::<u32>().unwrap() >= 1_900_000_000, "{status}");
    assert_eq!(field("NSpid"), [pid.to_string(), "1".to_owned()]);
    for (name, value) in [("CapEff", "0000000000000000"), ("CapBnd", "0000000000000000"), ("Seccomp", "2")] {
        assert_eq!(field(name), [value], "{name}");
    }
    for namespace in ["ipc", "mnt", "net", "pid", "uts"] {
        let of = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(of(&pid.to_string()), of("self"), "{namespace}");
    }
    let root = std::fs::read_dir(format!("/proc/{pid}/root")).unwrap();
    let names: Vec<_> = root.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let known = ["micad", "lib", "lib64", "etc", "usr"];
    assert!(names.iter().all(|name| known.contains(&name.as_str())), "{names:?}");
}
