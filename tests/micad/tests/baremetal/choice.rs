//! Which pedestal, and which remoteproc.

use std::fs;

use libmica::CreateMessage;
use libmica::ext::ExitReason;

use crate::board::Board;
use crate::kernel::Behaviour;

const TWO: [(&str, &[(&str, &str)]); 2] = [("mica-cpu2", &[("cpu", "2")]), ("rtos", &[("cpu", "3")])];

async fn refused(board: &Board, name: &str, cpu: &str) -> String {
    let client = board.daemon.client();
    if let Err(e) = client.create(&board.message(name, cpu)).await {
        return e.to_string();
    }
    let error = client.start(name).await.unwrap_err().to_string();
    client.remove(name).await.unwrap();
    error
}

#[tokio::test]
async fn the_only_free_one_is_taken_without_being_named() {
    let board = Board::new(&TWO);
    let error = refused(&board, "a", "").await;
    assert!(error.contains("say which by CPU"), "{error}");
    assert!(error.contains("remoteproc0 (mica-cpu2): free; remoteproc1 (rtos): free"), "{error}");
    board.boot("first", "mica-cpu2").await;
    // One is left. It is never CPU 0 that an empty text means, which upstream's daemon makes of it.
    board.boot("second", "").await;
    assert_eq!(board.remoteproc(1).get("state"), "running");
    let error = refused(&board, "third", "").await;
    assert!(error.contains("no remoteproc is free"), "{error}");
    assert!(error.contains("client first has it") && error.contains("client second has it"), "{error}");
}

#[tokio::test]
async fn by_core_by_name_and_by_number() {
    for (cpu, index) in [("3", 1), ("2", 0), (" 2 ", 0), ("rtos", 1), ("remoteproc1", 1)] {
        let board = Board::new(&TWO);
        board.boot("x", cpu).await;
        assert_eq!(board.remoteproc(index).get("state"), "running", "{cpu:?}");
        assert_eq!(board.remoteproc(1 - index).get("state"), "offline", "{cpu:?}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_free_is_refused() {
    let board = Board::new(&TWO);
    for (cpu, text) in [("0", "no remoteproc is known to be CPU 0"), ("m4", "no remoteproc is named \"m4\"")]
    {
        let error = refused(&board, "x", cpu).await;
        assert!(error.contains(text) && error.contains("remoteproc1 (rtos): free"), "{error}");
    }
    board.boot("owner", "3").await;
    let error = refused(&board, "x", "3").await;
    assert!(error.contains("remoteproc1 (rtos) cannot be used: client owner has it"), "{error}");
    board.remoteproc(0).set("state", "running");
    let error = refused(&board, "x", "2").await;
    assert!(error.contains("remoteproc0 (mica-cpu2) cannot be used: it is running"), "{error}");
    board.remoteproc(0).set("state", "crashed");
    assert!(refused(&board, "x", "2").await.contains("it is crashed"));
}

#[tokio::test]
async fn an_ended_client_gives_its_remoteproc_back() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("first", "").await;
    client.stop("first").await.unwrap();
    board.boot("second", "").await;
    board.remoteproc(0).end("offline");
    client.wait("second").await.unwrap();
    client.start("first").await.unwrap();
}

#[tokio::test]
async fn a_remoteproc_of_the_kernels_own_is_left_alone() {
    use std::os::unix::fs::PermissionsExt;
    let board = Board::stm32(Behaviour::default());
    let state = board.remoteproc(0).dir.join("state");
    fs::set_permissions(state, fs::Permissions::from_mode(0o444)).unwrap();
    let error = refused(&board, "x", "").await;
    assert!(error.contains("its driver reserves it for the kernel"), "{error}");
}

#[tokio::test]
async fn without_a_remoteproc() {
    let board = Board::new(&[]);
    let error = refused(&board, "x", "3").await;
    assert!(error.contains("there is no remoteproc") && error.contains("Pedestal = qemu"), "{error}");
    // Who does not say what it wants gets what there is.
    let any = CreateMessage { pedestal: String::new(), ..board.message("any", "") };
    board.daemon.client().create(&any).await.unwrap();
    assert_eq!(board.daemon.client().list().await.unwrap().clients[0].pedestal, "qemu");
}

#[tokio::test]
async fn the_pedestal_that_was_chosen_stays() {
    let mut board = Board::stm32(Behaviour::default());
    let client = board.daemon.client();
    let any = |board: &Board, name| CreateMessage { pedestal: String::new(), ..board.message(name, "") };
    client.create(&any(&board, "first")).await.unwrap();
    client.start("first").await.unwrap();
    client.create(&any(&board, "second")).await.unwrap();
    board.daemon.end(rustix::process::Signal::TERM);
    board.daemon.launch();
    let list = client.list().await.unwrap();
    let pedestals: Vec<_> = list.clients.iter().map(|c| c.pedestal.as_str()).collect();
    assert_eq!(pedestals, ["baremetal", "qemu"]);
    client.stop("first").await.unwrap();
    assert_eq!(client.wait("first").await.unwrap().reason, ExitReason::Stopped);
}

#[tokio::test]
async fn the_default_is_for_those_who_name_none() {
    let board = Board::prepared(&[("m4", &[])], &["--default-pedestal", "qemu"], |_| {});
    let client = board.daemon.client();
    client.create(&CreateMessage { pedestal: String::new(), ..board.message("any", "") }).await.unwrap();
    client.create(&board.message("bare", "")).await.unwrap();
    let list = client.list().await.unwrap();
    let pedestals: Vec<_> = list.clients.iter().map(|c| c.pedestal.as_str()).collect();
    assert_eq!(pedestals, ["qemu", "baremetal"]);
}

/// A board whose micad.conf is this text.
fn with_policy(conf: &str) -> (tempfile::TempDir, Board) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("micad.conf");
    fs::write(&file, conf).unwrap();
    let option = format!("--config={}", file.display());
    (dir, Board::prepared(&TWO, &[&option], |_| {}))
}

#[tokio::test]
async fn only_a_remoteproc_that_the_host_allows() {
    let (_dir, board) = with_policy("[Policy]\nAllowedRemoteprocs = mica-*\n");
    for cpu in ["3", "rtos", "remoteproc1"] {
        let error = refused(&board, "x", cpu).await;
        assert!(error.contains("remoteproc \"rtos\" is not allowed on this host"), "{error}");
        assert!(error.contains("AllowedRemoteprocs in ") && error.contains(" is mica-*"), "{error}");
    }
    // Of two, one is left to choose.
    board.boot("x", "").await;
    assert_eq!(board.remoteproc(0).get("state"), "running");
    let (_dir, board) = with_policy("[Policy]\nAllowedRemoteprocs = remoteproc1\n");
    board.boot("by-id", "3").await;
    let error = refused(&board, "x", "").await;
    assert!(error.contains("client by-id has it"), "{error}");
}

#[tokio::test]
async fn without_permission_for_cores_there_is_qemu() {
    let (_dir, board) = with_policy("[Policy]\nAllowedPedestals = qemu\n");
    let error = refused(&board, "x", "3").await;
    assert!(
        error.contains("\"baremetal\" is not allowed") && error.contains("AllowedPedestals in "),
        "{error}"
    );
    let any = CreateMessage { pedestal: String::new(), ..board.message("any", "") };
    board.daemon.client().create(&any).await.unwrap();
    assert_eq!(board.daemon.client().list().await.unwrap().clients[0].pedestal, "qemu");
    let (_dir, board) = with_policy("[Policy]\nMaxFirmwareSize = 1\n");
    let file = fs::OpenOptions::new().write(true).open(board.daemon.path("fw.elf")).unwrap();
    file.set_len((1 << 20) + 1).unwrap();
    assert!(refused(&board, "x", "3").await.contains("MaxFirmwareSize"));
}
