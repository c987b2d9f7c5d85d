//! Channels that are no terminals are streams if the host wants that.

use std::fs;

use rustix::process::Signal;

use crate::board::Board;
use crate::harness::{eventually, mica};
use crate::kernel::Behaviour;

/// What firmware announces, and what it says there at once.
const ENDPOINTS: [(&str, &str); 4] =
    [("rpmsg-raw", "raw"), ("rpmsg-rpc", "rpc"), ("rpmsg-tty", "console"), ("motor", "turns")];

/// A board whose daemon has this in its configuration.
fn board(conf: &str) -> Board {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap().keep();
    let file = dir.join("micad.conf");
    fs::write(&file, format!("[Micad]\n{conf}")).unwrap();
    let board = Board::prepared(&[("m4", &[])], &["--config", file.to_str().unwrap()], |_| {});
    let endpoints = ENDPOINTS.map(|(name, text)| (name, text.as_bytes().to_vec())).into();
    board.remoteproc(0).behaviour = Behaviour { endpoints, ..Behaviour::default() };
    board
}

/// What `mica logs` has of a stream.
fn logs(board: &Board, stream: &str) -> String {
    let output = mica(&board.daemon, &["logs", "--stream", stream, "x"]);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn channels_are_streams_if_the_host_says_so() {
    let mut board = board("Channels = motor rpmsg-raw\n");
    let client = board.boot("x", "").await;
    // One that the kernel's driver knows, and one that it has to be given.
    board.device("x", "rpmsg-raw").await;
    board.device("x", "motor").await;
    for (name, text) in ENDPOINTS.iter().filter(|(name, _)| *name != "rpmsg-rpc") {
        eventually(&format!("{name} is there"), || logs(&board, name) == *text).await;
    }
    // A number is a terminal's, whatever was announced first.
    assert_eq!(logs(&board, "0"), "console");
    let services = client.status("x").await.unwrap().services;
    let rest: Vec<_> = services.iter().filter(|it| it.device.is_none()).map(|it| it.name.as_str()).collect();
    assert_eq!(rest, ["rpmsg-rpc"]);
    let mut raw = board.console("x", "rpmsg-raw").await;
    assert_eq!(raw.read_to("raw"), "raw");
    // Longer than a message may be.
    let long: Vec<u8> = (0..1200).map(|i| b'a' + u8::try_from(i % 26).unwrap()).collect();
    raw.write(&long);
    assert_eq!(board.receive(0, 0, long.len()), long);
    board.daemon.end(Signal::KILL);
    board.print(0, 0, b" again");
    board.daemon.launch();
    eventually("it goes on", || logs(&board, "rpmsg-raw") == "raw again").await;
    client.remove("x").await.unwrap();
    board.no_process_left().await;
}

#[tokio::test]
async fn a_channel_is_left_to_others_otherwise() {
    let board = board("");
    let client = board.boot("x", "").await;
    board.device("x", "rpmsg-tty").await;
    let said = logs(&board, "rpmsg-raw");
    assert!(said.contains("x has no stream \"rpmsg-raw\": it has rpmsg-tty"), "{said}");
    let services = client.status("x").await.unwrap().services;
    let rest: Vec<_> = services.iter().filter(|it| it.device.is_none()).map(|it| it.name.as_str()).collect();
    assert_eq!(rest, ["motor", "rpmsg-raw", "rpmsg-rpc"]);
    client.stop("x").await.unwrap();
}
