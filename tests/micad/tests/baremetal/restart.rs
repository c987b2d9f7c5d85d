//! The daemon's end is not the firmware's.

use std::fs;

use libmica::ClientState;
use libmica::ext::ExitReason;
use rustix::process::Signal;

use crate::board::Board;
use crate::harness::eventually;
use crate::kernel::Behaviour;

#[tokio::test]
async fn firmware_and_console_go_on_and_are_taken_over() {
    for signal in [Signal::TERM, Signal::KILL] {
        let mut board = Board::stm32(Behaviour::console("H"));
        let client = board.boot("x", "").await;
        let mut console = board.console("x", "rpmsg-tty").await;
        console.read_to("H");
        board.daemon.end(signal);
        console.write(b"alone");
        assert_eq!(board.receive(0, 0, 5), b"alone");
        board.print(0, 0, b"alone");
        assert_eq!(console.read_to("alone"), "alone");

        board.daemon.launch();
        assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
        assert_eq!(board.device("x", "rpmsg-tty").await, board.daemon.run_dir().join("ttyRPMSG_x_0"));
        console.write(b"again");
        assert_eq!(board.receive(0, 0, 5), b"again");
        let again = board.daemon.client().create(&board.message("y", "")).await;
        again.unwrap();
        let error = client.start("y").await.unwrap_err().to_string();
        assert!(error.contains("client x has it"), "{error}");
        client.stop("x").await.unwrap();
        assert_eq!(board.remoteproc(0).get("recovery"), "enabled");
        client.start("x").await.unwrap();
    }
}

#[tokio::test]
async fn an_end_without_a_daemon_is_reported_by_the_next_with_its_output() {
    let mut board = Board::spare_core("no", Behaviour::console(""));
    let client = board.boot("x", "3").await;
    let device = board.device("x", "rpmsg-tty").await;
    board.daemon.end(Signal::KILL);
    board.print(0, 0, b"last words");
    board.set_device(0, "exit_reason", "exited");
    board.set_device(0, "exit_status", "9");
    board.remoteproc(0).exit();
    board.daemon.launch();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (9, ExitReason::Exited));
    assert_eq!(crate::harness::Console::open(&device).read_to("last words"), "last words");
    client.start("x").await.unwrap();
}

#[tokio::test]
async fn the_output_of_a_run_that_has_ended_outlives_the_daemon() {
    let mut board = Board::spare_core("no", Behaviour::console(""));
    let client = board.boot("x", "3").await;
    let device = board.device("x", "rpmsg-tty").await;
    board.print(0, 0, b"last words");
    board.set_device(0, "exit_reason", "exited");
    board.set_device(0, "exit_status", "9");
    board.remoteproc(0).exit();
    let report = client.wait("x").await.unwrap();
    let state = fs::read(board.daemon.run_dir().join("clients/x/state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let relay = state.pointer("/run/lines/0/carrier/pid").and_then(serde_json::Value::as_u64).unwrap();
    board.daemon.end(Signal::KILL);
    board.daemon.launch();
    assert_eq!(client.wait("x").await.unwrap(), report);
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    assert_eq!(crate::harness::Console::open(&device).read_to("last words"), "last words");
    client.remove("x").await.unwrap();
    assert!(fs::symlink_metadata(device).is_err());
    let relay = u32::try_from(relay).unwrap();
    eventually("the relay is gone", || !crate::harness::is_alive(relay)).await;
}

#[tokio::test]
async fn a_console_that_comes_without_a_daemon_is_taken_up_by_the_next() {
    let mut board = Board::stm32(Behaviour::default());
    board.boot("x", "").await;
    board.daemon.end(Signal::TERM);
    board.remoteproc(0).announce("rpmsg-tty", b"nobody hears me");
    board.daemon.launch();
    assert_eq!(board.console("x", "rpmsg-tty").await.read_to("me"), "nobody hears me");
}

#[tokio::test]
async fn firmware_that_was_not_written_down_is_stopped() {
    let mut board = Board::stm32(Behaviour::console(""));
    let client = board.boot("x", "").await;
    board.device("x", "rpmsg-tty").await;
    board.daemon.kill_before_it_writes("x", "/run/lines/0/carrier/pid");
    board.daemon.launch();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    eventually("it is stopped", || board.remoteproc(0).get("state") == "offline").await;
}

#[tokio::test]
async fn what_runs_there_by_now_is_not_taken_for_ours() {
    let mut board = Board::stm32(Behaviour::console(""));
    let client = board.boot("x", "").await;
    let device = board.device("x", "rpmsg-tty").await;
    board.daemon.end(Signal::KILL);
    board.remoteproc(0).end("offline");
    board.remoteproc(0).set("firmware", "somebody-elses.elf");
    board.remoteproc(0).set("state", "running");
    board.daemon.launch();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Killed));
    assert!(board.daemon.log().contains("runs something else by now"), "{}", board.daemon.log());
    eventually("its console is gone", || fs::symlink_metadata(&device).is_err()).await;
    client.remove("x").await.unwrap();
    assert_eq!(board.remoteproc(0).get("state"), "running");
}
