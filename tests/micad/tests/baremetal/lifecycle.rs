//! Start, end and stop.

use std::fs;

use libmica::ClientState;
use libmica::ext::ExitReason;

use crate::board::{Board, FIRMWARE};
use crate::harness::eventually;
use crate::kernel::Behaviour;

#[tokio::test]
async fn a_run_leaves_the_board_as_it_was() {
    let board = Board::stm32(Behaviour::console("hello"));
    let client = board.boot("x", "").await;
    {
        let remoteproc = board.remoteproc(0);
        assert_eq!(remoteproc.loaded, FIRMWARE);
        assert_eq!(remoteproc.get("recovery"), "disabled");
        let name = remoteproc.get("firmware");
        assert!(name.starts_with("micad-") && name.contains("-x-"), "{name}");
    }
    assert_eq!(board.firmware_files(), Vec::<String>::new());
    let entry = client.list().await.unwrap().clients.remove(0);
    assert_eq!((entry.state, entry.pedestal.as_str(), entry.pid), (ClientState::Running, "baremetal", None));
    assert!(client.stats("x").await.unwrap().uptime_usec > 0);
    let link = board.device("x", "rpmsg-tty").await;

    client.stop("x").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped));
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
    for (attribute, value) in [("state", "offline"), ("firmware", "rproc-fw"), ("recovery", "enabled")] {
        assert_eq!(board.remoteproc(0).get(attribute), value);
    }
    client.remove("x").await.unwrap();
    assert!(fs::symlink_metadata(link).is_err());
    board.no_process_left().await;
    let left: Vec<_> =
        fs::read_dir(board.daemon.run_dir()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "more than lock, clients, history and the daemon's socket: {left:?}");
}

#[tokio::test]
async fn a_foreign_driver_tells_offline_from_crashed() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    board.remoteproc(0).end("offline");
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (0, ExitReason::Exited));

    client.start("x").await.unwrap();
    board.kernel_says("6,2,2,-;remoteproc remoteproc0: remote processor m4 is now up");
    board.kernel_says("3,3,3,-;remoteproc remoteproc0: crash detected in m4: type watchdog");
    board.remoteproc(0).end("crashed");
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (1, ExitReason::Fault));
    assert_eq!(report.detail, "remoteproc0 (m4) has crashed: crash detected in m4: type watchdog");
    // Cleaned up, it can be started again.
    eventually("it is offline", || board.remoteproc(0).get("state") == "offline").await;
    client.start("x").await.unwrap();
}

#[tokio::test]
async fn our_driver_tells_the_exit_status() {
    let board = Board::spare_core("no", Behaviour::default());
    let client = board.boot("x", "3").await;
    for (reason, status, state, expected) in [
        ("exited", 7, "offline", ExitReason::Exited),
        ("fault", 139, "crashed", ExitReason::Fault),
        ("stopped", 0, "offline", ExitReason::Killed),
    ] {
        board.set_device(0, "exit_reason", reason);
        board.set_device(0, "exit_status", &status.to_string());
        board.remoteproc(0).end(state);
        let report = client.wait("x").await.unwrap();
        let status = if expected == ExitReason::Killed { 137 } else { status };
        assert_eq!((report.status, report.reason), (status, expected), "{}", report.detail);
        client.start("x").await.unwrap();
    }
}

#[tokio::test]
async fn a_remoteproc_that_is_removed_ends_the_run() {
    let board = Board::stm32(Behaviour::default());
    let client = board.boot("x", "").await;
    fs::remove_dir_all(&board.remoteproc(0).dir).unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Killed));
    assert_eq!(report.detail, "remoteproc0 (m4) has been removed");
}

#[tokio::test]
async fn firmware_that_ignores_stop_is_said_to_run() {
    let board = Board::stm32(Behaviour { deaf: true, ..Behaviour::console("") });
    let client = board.boot("x", "").await;
    let error = client.stop("x").await.unwrap_err().to_string();
    assert!(error.contains("remoteproc0 (m4) did not stop, and its firmware keeps running"), "{error}");
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
    assert!(client.remove("x").await.is_err());
    board.remoteproc(0).behaviour.deaf = false;
    client.stop("x").await.unwrap();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Offline);
}

#[tokio::test]
async fn a_core_that_stays_on_is_not_stopped() {
    let board = Board::spare_core("no", Behaviour::default());
    let client = board.boot("x", "3").await;
    board.set_device(0, "core_state", "on");
    let error = client.stop("x").await.unwrap_err().to_string();
    assert!(error.contains("its core is on"), "{error}");
}

#[tokio::test]
async fn a_forced_stop_is_called_so() {
    let board = Board::spare_core("yes", Behaviour::default());
    let client = board.boot("x", "3").await;
    board.set_device(0, "exit_reason", "killed");
    board.set_device(0, "exit_status", "137");
    client.stop("x").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped));
    assert_eq!(report.detail, "stopped by force: it ignored the request");
}

#[tokio::test]
async fn pause_is_refused_where_the_driver_cannot() {
    for (board, text) in [
        (
            Board::stm32(Behaviour::default()),
            "remoteproc0 (m4) cannot pause: its driver has no such function",
        ),
        (Board::spare_core("no", Behaviour::default()), "cannot pause: no monitor watches over the core"),
    ] {
        let client = board.boot("x", "").await;
        let error = client.pause("x").await.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
        let error = client.set("x", "Memory", "1").await.unwrap_err().to_string();
        assert!(error.contains("the baremetal pedestal cannot change Memory"), "{error}");
    }
}

#[tokio::test]
async fn pause_and_resume_by_the_monitor() {
    let board = Board::spare_core("yes", Behaviour::default());
    let client = board.boot("x", "3").await;
    client.pause("x").await.unwrap();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Suspended);
    client.resume("x").await.unwrap();
    assert_eq!(client.status("x").await.unwrap().state, ClientState::Running);
    // What others do is seen as well.
    board.set_device(0, "paused", "1");
    eventually("the pause is seen", || board.daemon.log().contains("now Suspended")).await;
}

#[tokio::test]
async fn a_start_that_fails_leaves_nothing() {
    let board = Board::stm32(Behaviour::default());
    let client = board.daemon.client();
    client.create(&board.message("x", "")).await.unwrap();
    // An error of the kernel's, as far as a directory can give one.
    let firmware = board.remoteproc(0).dir.join("firmware");
    fs::remove_file(&firmware).unwrap();
    fs::create_dir(&firmware).unwrap();
    let error = client.start("x").await.unwrap_err().to_string();
    assert!(error.contains("remoteproc0 (m4) did not start: Is a directory"), "{error}");
    assert_eq!(board.firmware_files(), Vec::<String>::new());
    assert_eq!(board.remoteproc(0).get("recovery"), "enabled");
    fs::remove_dir(&firmware).unwrap();
    board.remoteproc(0).set("firmware", "rproc-fw");
    client.start("x").await.unwrap();
}

#[tokio::test]
async fn firmware_goes_where_the_kernel_searches() {
    let set = |text: &'static str| {
        move |root: &std::path::Path| {
            fs::write(root.join("sys/module/firmware_class/parameters/path"), text).unwrap();
            let path = text.trim().trim_start_matches('/');
            fs::create_dir_all(root.join(path)).unwrap();
            // The simulated kernel searches one directory.
            if !path.is_empty() {
                fs::remove_dir(root.join("lib/firmware")).unwrap();
                std::os::unix::fs::symlink(root.join(path), root.join("lib/firmware")).unwrap();
            }
        }
    };
    let board = Board::prepared(&[("m4", &[])], &[], set("/var/firmware\n"));
    board.boot("x", "").await;
    assert_eq!(board.remoteproc(0).loaded, FIRMWARE);

    // A configured directory becomes the kernel's, if that has none.
    let option = ["--firmware-dir", "/lib/firmware/../firmware"];
    let board = Board::prepared(&[("m4", &[])], &option, set("\n"));
    board.boot("x", "").await;
    let parameter = fs::read_to_string(board.path("sys/module/firmware_class/parameters/path")).unwrap();
    assert_eq!(parameter, "/lib/firmware/../firmware");

    let board = Board::prepared(&[("m4", &[])], &["--firmware-dir", "/elsewhere"], set("/var/firmware\n"));
    board.daemon.client().create(&board.message("x", "")).await.unwrap();
    let error = board.daemon.client().start("x").await.unwrap_err().to_string();
    assert!(error.contains("FirmwareDir is /elsewhere, but the kernel searches /var/firmware"), "{error}");
}

#[tokio::test]
async fn what_a_killed_daemon_has_left_is_removed() {
    let board = Board::prepared(&[("m4", &[])], &[], |root| {
        for name in ["micad-0-x-17.elf", "micad-.17.elf", "vendor.elf", "micad-notes.txt"] {
            fs::write(root.join("lib/firmware").join(name), "").unwrap();
        }
    });
    let mut left = board.firmware_files();
    left.sort();
    assert_eq!(left, ["micad-notes.txt", "vendor.elf"]);
}

#[tokio::test]
async fn odd_firmware_is_refused() {
    let board = Board::stm32(Behaviour::default());
    let client = board.daemon.client();
    fs::remove_file(board.daemon.path("fw.elf")).unwrap();
    let error = client.create(&board.message("x", "")).await.unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    fs::create_dir(board.daemon.path("fw.elf")).unwrap();
    client.create(&board.message("x", "")).await.unwrap();
    let error = client.start("x").await.unwrap_err().to_string();
    assert!(error.contains("cannot run on the baremetal pedestal: it is not a regular file"), "{error}");
}
