//! Trace buffers of firmware are streams as well.

use std::fs;

use libmica::attach::{Attach, From, Mode};
use rustix::process::Signal;

use crate::board::Board;
use crate::harness::{eventually, mica};
use crate::kernel::Behaviour;

/// What `mica logs` has of the stream.
fn logs(board: &Board, stream: &str) -> String {
    let output = mica(&board.daemon, &["logs", "--stream", stream, "x"]);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A board whose firmware has this in its trace buffer from the beginning.
fn board(text: &str, console: &str) -> Board {
    Board::stm32(Behaviour { trace: Some(text.to_owned()), ..Behaviour::console(console) })
}

#[tokio::test]
async fn a_trace_buffer_is_a_stream_of_its_own() {
    let board = board("booted\n", "console");
    let client = board.boot("x", "").await;
    let device = board.device("x", "trace0").await;
    assert_eq!(device, board.daemon.run_dir().join("ttyRPMSG_x_0.trace0"));
    assert_eq!(board.console("x", "rpmsg-tty").await.read_to("console"), "console");
    // The console comes first, whatever came first.
    let names = client.status("x").await.unwrap().services.into_iter().map(|it| it.name);
    assert_eq!(names.collect::<Vec<_>>(), ["rpmsg-tty", "trace0"]);
    eventually("the beginning is there", || logs(&board, "trace0") == "booted\n").await;
    let follow = Attach { stream: "trace0".to_owned(), from: From::End, mode: Mode::Read };
    let (mut output, _) = client.attach("x", &follow).await.unwrap().split();
    board.remoteproc(0).trace("ready\n");
    assert_eq!(output.next().await.unwrap().unwrap().bytes, b"ready\n");
    // A number is that of a terminal.
    assert_eq!(logs(&board, "0"), "console");
    let known = "x has no stream \"1\": it has rpmsg-tty, trace0";
    assert!(logs(&board, "1").contains(known), "{}", logs(&board, "1"));
    client.remove("x").await.unwrap();
    assert!(fs::symlink_metadata(device).is_err());
    board.no_process_left().await;
}

#[tokio::test]
async fn its_last_words_are_there_after_a_stop_and_after_a_crash() {
    for ends in ["stop", "crash"] {
        let board = board("booted\n", "");
        let client = board.boot("x", "").await;
        board.device("x", "trace0").await;
        eventually("the beginning is there", || logs(&board, "trace0") == "booted\n").await;
        // It is read once more before the kernel takes it away.
        board.remoteproc(0).trace_unseen("booted\nlast words\n");
        if ends == "stop" {
            client.stop("x").await.unwrap();
        } else {
            board.remoteproc(0).end("crashed");
            client.wait("x").await.unwrap();
        }
        assert_eq!(logs(&board, "trace0"), "booted\nlast words\n", "{ends}");
        // Another run has its own.
        client.start("x").await.unwrap();
        board.device("x", "trace0").await;
        eventually("it begins anew", || logs(&board, "trace0") == "booted\n").await;
        client.remove("x").await.unwrap();
    }
}

#[tokio::test]
async fn it_goes_on_through_a_restart_of_the_daemon() {
    let mut board = board("one\n", "");
    let client = board.boot("x", "").await;
    board.device("x", "trace0").await;
    board.daemon.end(Signal::KILL);
    board.remoteproc(0).trace("two\n");
    board.daemon.launch();
    board.remoteproc(0).trace("three\n");
    eventually("all is there, once", || logs(&board, "trace0") == "one\ntwo\nthree\n").await;
    client.stop("x").await.unwrap();
}

#[tokio::test]
async fn firmware_may_have_nothing_else() {
    let board = Board::stm32(Behaviour { trace: Some("only\n".to_owned()), ..Behaviour::default() });
    let client = board.boot("x", "").await;
    board.device("x", "trace0").await;
    assert_eq!(client.list().await.unwrap().clients[0].tty, None);
    assert!(logs(&board, "0").contains("x has no stream \"0\": it has trace0"), "{}", logs(&board, "0"));
}

#[tokio::test]
async fn the_terminal_of_other_vendors_is_a_console() {
    let endpoints = vec![("rpmsg-virtual-tty-channel", b"hello".to_vec())];
    let board = Board::stm32(Behaviour { endpoints, ..Behaviour::default() });
    let client = board.boot("x", "").await;
    assert_eq!(board.console("x", "rpmsg-virtual-tty-channel").await.read_to("hello"), "hello");
    assert_eq!(logs(&board, "0"), "hello");
    assert!(client.list().await.unwrap().clients[0].tty.is_some());
}
