//! Kernels that refuse to stop a remoteproc whose firmware has crashed: the next start frees it.

use std::fs;
use std::path::{Path, PathBuf};

use libmica::attach::{Attach, From, Mode};
use libmica::ext::{ExitReason, ExitReport};
use libmica::{Client, ClientState, CreateMessage};
use nix::sys::stat::Mode as Permissions;
use nix::unistd::mkfifo;
use rustix::process::Signal;

use crate::board::Board;
use crate::harness::{PATIENCE, eventually};
use crate::kernel::Behaviour;
use crate::tiny_elf;

/// What micad says of a remoteproc that stays crashed.
const LEFT: &str = "remoteproc0 (m4) stays crashed until the next start frees it";

/// A board with such a kernel.
fn board() -> Board {
    Board::stm32(Behaviour { old_kernel: true, ..Behaviour::console("hello") })
}

/// Creates and starts a client of that firmware.
async fn boot(board: &Board, name: &str, firmware: &Path) -> Client {
    let client = create(board, name, firmware).await;
    client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", board.daemon.log()));
    client
}

async fn create(board: &Board, name: &str, firmware: &Path) -> Client {
    let client = board.daemon.client();
    let message = CreateMessage { path: firmware.to_owned(), ..board.message(name, "") };
    client.create(&message).await.unwrap();
    client
}

/// Has the firmware of client `x` crash, and gives its end.
async fn crash(board: &Board, client: &Client) -> ExitReport {
    board.kernel_says("3,3,3,-;remoteproc remoteproc0: crash detected in m4: type watchdog");
    board.remoteproc(0).end("crashed");
    client.wait("x").await.unwrap()
}

/// Two firmwares of different sizes, and those sizes as the kernel's log of the board has them.
fn firmwares(board: &Board) -> ([PathBuf; 2], [String; 2]) {
    let paths = [tiny_elf::echo(board.daemon.dir()), tiny_elf::spins(board.daemon.dir())];
    let sizes = paths.each_ref().map(|path| format!("({})", fs::metadata(path).unwrap().len()));
    assert_ne!(sizes[0], sizes[1]);
    (paths, sizes)
}

/// What the board's kernel has seen since the last call, with names of firmware replaced by that of the client.
fn seen(board: &Board) -> Vec<String> {
    let seen = std::mem::take(&mut board.remoteproc(0).seen);
    let client = |word: String| word.split('-').nth(2).map_or(word.clone(), str::to_owned);
    seen.into_iter().map(client).collect()
}

/// That a run of this client has left the board as it was before all of them.
async fn ends_as_before(board: &Board, client: &Client, name: &str) {
    client.stop(name).await.unwrap();
    for (attribute, value) in [("state", "offline"), ("firmware", "rproc-fw"), ("recovery", "enabled")] {
        assert_eq!(board.remoteproc(0).get(attribute), value);
    }
    assert_eq!(board.firmware_files(), Vec::<String>::new());
    assert!(!board.daemon.run_dir().join("remoteproc0.json").exists());
}

#[tokio::test]
async fn the_crash_is_the_end_and_touches_nothing() {
    let board = board();
    let client = board.boot("x", "").await;
    board.device("x", "rpmsg-tty").await;
    let attach = Attach { stream: "0".to_owned(), from: From::Start, mode: Mode::Read };
    let (mut output, _) = client.attach("x", &attach).await.unwrap().split();
    assert_eq!(output.next().await.unwrap().unwrap().bytes, b"hello");
    seen(&board);
    let report = crash(&board, &client).await;
    assert_eq!((report.status, report.reason), (1, ExitReason::Fault));
    assert_eq!(report.detail, "remoteproc0 (m4) has crashed: crash detected in m4: type watchdog");
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    // The kernel keeps the terminal; its reader has the end all the same.
    let end = tokio::time::timeout(PATIENCE, output.next()).await.expect("an end");
    assert!(end.unwrap().is_none());
    assert_eq!(board.remoteproc(0).terminals.len(), 1);
    // To restore `recovery` would be to recover.
    assert_eq!(seen(&board), Vec::<String>::new());
    assert_eq!(board.remoteproc(0).get("state"), "crashed");
    let log = board.daemon.log();
    assert_eq!(log.matches(LEFT).count(), 1, "{log}");
    assert!(!log.contains("did not stop") && !log.contains("cannot restore"), "{log}");
}

/// The daemon looks at the registers when the firmware crashes, and hears of the stop before it sees the crash.
#[tokio::test]
async fn a_stop_that_comes_with_the_crash_finds_it_ended() {
    let board = Board::spare_core("yes", Behaviour { old_kernel: true, ..Behaviour::default() });
    let device = board.remoteproc(0).dir.join("device");
    fs::write(device.join("memory"), "").unwrap();
    let registers = device.join("registers");
    mkfifo(&registers, Permissions::S_IRUSR).unwrap();
    let client = board.boot("x", "").await;
    let asked = board.daemon.client();
    let diagnosis = tokio::spawn(async move { asked.diagnose("x", false).await });
    eventually("the core is held", || fs::read_to_string(device.join("paused")).unwrap() == "1").await;
    board.set_device(0, "exit_reason", "fault");
    board.set_device(0, "exit_status", "139");
    board.remoteproc(0).end("crashed");
    let asked = board.daemon.client();
    let stop = tokio::spawn(async move { asked.stop("x").await });
    // It is given up for the stop.
    diagnosis.await.unwrap().unwrap_err();
    let fifo = fs::OpenOptions::new().write(true).open(&registers).unwrap();
    fs::remove_file(&registers).unwrap();
    drop(fifo);
    stop.await.unwrap().unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (139, ExitReason::Fault), "{}", report.detail);
    client.remove("x").await.unwrap();
    assert_eq!(board.daemon.log().matches("stays crashed until").count(), 1, "{}", board.daemon.log());
}

#[tokio::test]
async fn the_next_client_runs_its_own_firmware() {
    let board = board();
    let ([first, second], [_, size]) = firmwares(&board);
    let client = boot(&board, "x", &first).await;
    crash(&board, &client).await;
    seen(&board);
    boot(&board, "y", &second).await;
    let expected = ["recover", &size, "stop", "y", "start", &size];
    assert_eq!(seen(&board), expected);
    assert_eq!(board.remoteproc(0).loaded, fs::read(&second).unwrap());
    assert_eq!(board.remoteproc(0).get("state"), "running");
    assert_eq!(board.remoteproc(0).get("recovery"), "disabled");
    assert_eq!(board.firmware_files(), Vec::<String>::new());
    assert_eq!(board.console("y", "rpmsg-tty").await.read_to("hello"), "hello");
    ends_as_before(&board, &client, "y").await;
}

#[tokio::test]
async fn the_same_client_crashes_again_and_again() {
    let board = board();
    let ([firmware, _], _) = firmwares(&board);
    let client = boot(&board, "x", &firmware).await;
    for _ in 0..3 {
        assert_eq!(crash(&board, &client).await.reason, ExitReason::Fault);
        client.start("x").await.unwrap();
        assert_eq!(board.console("x", "rpmsg-tty").await.read_to("hello"), "hello");
    }
    ends_as_before(&board, &client, "x").await;
}

#[tokio::test]
async fn daemons_that_are_killed_meanwhile_forget_nothing() {
    for crashes_alone in [true, false] {
        let mut board = board();
        let ([first, second], [_, size]) = firmwares(&board);
        let client = boot(&board, "x", &first).await;
        if crashes_alone {
            board.daemon.end(Signal::KILL);
            board.remoteproc(0).end("crashed");
        } else {
            crash(&board, &client).await;
            board.daemon.end(Signal::KILL);
        }
        board.daemon.launch();
        assert_eq!(client.wait("x").await.unwrap().reason, ExitReason::Fault);
        client.remove("x").await.unwrap();
        seen(&board);
        boot(&board, "y", &second).await;
        let expected = ["recover", &size, "stop", "y", "start", &size];
        assert_eq!(seen(&board), expected);
        assert!(!board.daemon.log().contains("ERROR"), "{}", board.daemon.log());
        ends_as_before(&board, &client, "y").await;
    }
}

#[tokio::test]
async fn what_was_not_written_down_is_left_for_the_next_start() {
    let mut board = board();
    let ([first, second], [_, size]) = firmwares(&board);
    let client = boot(&board, "x", &first).await;
    board.device("x", "rpmsg-tty").await;
    board.daemon.kill_before_it_writes("x", "/run/lines/0/carrier/pid");
    board.remoteproc(0).end("crashed");
    seen(&board);
    board.daemon.launch();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    let log = board.daemon.log();
    assert_eq!((log.matches(LEFT).count(), log.contains("ERROR")), (1, false), "{log}");
    boot(&board, "y", &second).await;
    let expected = ["recover", &size, "stop", "y", "start", &size];
    assert_eq!(seen(&board), expected);
}

#[tokio::test]
async fn a_kernel_that_stops_it_is_asked_for_no_recovery() {
    let board = Board::stm32(Behaviour::default());
    board.remoteproc(0).set("firmware", "micad-0-gone-1.elf");
    board.remoteproc(0).end("crashed");
    board.boot("y", "").await;
    let size = format!("({})", crate::board::FIRMWARE.len());
    assert_eq!(seen(&board), ["stop", "disabled", "y", "start", &size]);
}

#[tokio::test]
async fn firmware_that_is_none_is_not_recovered_with() {
    let board = board();
    let client = board.boot("x", "").await;
    crash(&board, &client).await;
    seen(&board);
    let error = client.start("x").await.unwrap_err().to_string();
    assert!(error.contains("fw.elf cannot run on the baremetal pedestal"), "{error}");
    assert_eq!(seen(&board), Vec::<String>::new());
    let ([good, _], _) = firmwares(&board);
    boot(&board, "y", &good).await;
    ends_as_before(&board, &client, "y").await;
}

#[tokio::test]
async fn a_recovery_that_fails_says_what_to_do() {
    let board = board();
    let ([first, second], [_, size]) = firmwares(&board);
    let client = boot(&board, "x", &first).await;
    crash(&board, &client).await;
    board.remoteproc(0).behaviour.unfit = true;
    create(&board, "y", &second).await;
    seen(&board);
    // Neither then nor later is a start that does nothing taken for one.
    for expected in [["recover"].as_slice(), &[]] {
        let error = client.start("y").await.unwrap_err().to_string();
        assert!(error.contains("remoteproc0 (m4) did not start: its last firmware has crashed"), "{error}");
        assert!(error.contains("after which the kernel starts nothing there"), "{error}");
        assert!(error.contains("load its driver anew, or reboot"), "{error}");
        assert_eq!(seen(&board), expected);
    }
    assert_eq!(board.firmware_files(), Vec::<String>::new());
    // A driver that is loaded anew.
    board.remoteproc(0).lost = false;
    board.remoteproc(0).set("firmware", "rproc-fw");
    client.start("y").await.unwrap();
    assert_eq!(seen(&board), ["y", "start", &size]);
}
