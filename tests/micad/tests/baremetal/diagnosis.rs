//! What is known of firmware on a core that shows no sign of life.

use std::fs;

use libmica::CreateMessage;

use crate::board::Board;
use crate::kernel::Behaviour;

#[tokio::test]
async fn firmware_that_has_announced_nothing() {
    let board = Board::spare_core("yes", Behaviour::default());
    board.set_device(0, "core_state", "on");
    let client = board.boot("x", "").await;
    let detail = client.diagnose("x", true).await.unwrap().detail;
    let expected =
        "remoteproc0 (mica-cpu3) is running and its core is on; it has announced no rpmsg endpoint";
    assert_eq!(detail, expected);
    assert_eq!(client.stats("x").await.unwrap().silent.unwrap().detail, expected);
    assert_eq!(board.daemon.log().matches("shows no sign of life").count(), 1, "{}", board.daemon.log());
}

#[tokio::test]
async fn endpoints_that_are_no_console_interrupts_and_trace() {
    let endpoints = vec![("rpmsg-client-sample", Vec::new())];
    let board = Board::stm32(Behaviour { endpoints, ..Behaviour::default() });
    let client = board.boot("x", "").await;
    let debug = board.path("sys/kernel/debug/remoteproc/remoteproc0");
    fs::create_dir_all(&debug).unwrap();
    fs::write(debug.join("trace0"), b"boot\nwaiting for \x1b[1mLinux\n\0\0\0").unwrap();
    fs::create_dir(board.path("proc")).unwrap();
    let table = "           CPU0       CPU1\n 30:          9          9     GICv3  30 Level     other\n \
                 64:          5          2     GICv3 164 Edge      4c000000.rproc-0\n";
    fs::write(board.path("proc/interrupts"), table).unwrap();
    assert_eq!(
        client.diagnose("x", false).await.unwrap().detail,
        "remoteproc0 (m4) is running; it has announced rpmsg-client-sample (no terminal); it has interrupted Linux 7 \
         times; its trace buffer ends with \"waiting for \\u{1b}[1mLinux\""
    );
}

#[tokio::test]
async fn a_debugger_is_refused_with_what_is_missing() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("put `Debug = yes` into [Mica] of its client.conf"), "{error}");
    client.remove("x").await.unwrap();
    client.create(&CreateMessage { debug: true, ..board.message("x", "") }).await.unwrap();
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("cannot debug x: it is Offline"), "{error}");
    client.start("x").await.unwrap();
    let error = client.gdb("x").await.unwrap_err().to_string();
    assert!(error.contains("the driver of its core does not show") && error.contains("JTAG"), "{error}");
}
