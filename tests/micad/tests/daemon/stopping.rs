//! Firmware is asked to end before its power is cut.

use libmica::Client;
use libmica::ext::{ExitReason, ExitReport};
use micrun_host_tests::firmware::{demo, mute};
use rustix::process::Signal;

use crate::harness::{Daemon, mica};

/// Tells how a client is stopped.
async fn tell(client: &Client, words: &[&str]) {
    for word in words {
        client.set("x", "Stop", word).await.unwrap();
    }
}

/// The demo, asked to end once its shell is up, by what these words say.
async fn asked(words: &[&str]) -> ExitReport {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &demo()).await;
    daemon.console("x").read_to("micrun> ");
    tell(&client, words).await;
    client.shutdown("x", None).await.unwrap();
    client.wait("x").await.unwrap()
}

#[tokio::test]
async fn a_line_asks_it_and_its_status_is_its_own() {
    let report = asked(&["line:0", "text:exit%20", "text:7%0D", "timeout:1h"]).await;
    assert_eq!((report.status, report.reason), (7, ExitReason::Exited), "{}", report.detail);
}

#[tokio::test]
async fn the_power_button_asks_it() {
    let report = asked(&["button"]).await;
    assert_eq!((report.status, report.reason), (0, ExitReason::Exited), "{}", report.detail);
}

/// What cannot be asked loses its power at once: nobody would end it later.
#[tokio::test]
async fn a_stream_that_is_not_there_is_no_way() {
    let report = asked(&["line:rpmsg-tty9", "text:exit%0D"]).await;
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped), "{}", report.detail);
}

#[tokio::test]
async fn nothing_to_ask_by_is_a_stop() {
    let report = asked(&[]).await;
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped), "{}", report.detail);
}

/// Firmware that hears nothing. The next daemon remembers that it was asked.
async fn deaf(words: &[&str], limit: Option<u16>, restarted: bool) -> ExitReport {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &mute("wait")).await;
    tell(&client, &[&["line:0", "text:exit%0D"], words].concat()).await;
    client.shutdown("x", limit).await.unwrap();
    if restarted {
        daemon.end(Signal::TERM);
        daemon.launch();
    }
    client.wait("x").await.unwrap()
}

#[tokio::test]
async fn after_its_time_the_power_is_cut() {
    for (report, time) in [
        (deaf(&["timeout:300ms"], Some(3600), false).await, "300ms"),
        (deaf(&[], Some(1), false).await, "1s"),
        (deaf(&["timeout:2s"], None, true).await, "2s"),
    ] {
        assert_eq!((report.status, report.reason), (137, ExitReason::Stopped));
        let expected = format!("it had not ended {time} after it was asked to, so its power was cut");
        assert_eq!(report.detail, expected);
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_was_asked() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &mute("wait")).await;
    tell(&client, &["line:0", "text:exit%0D"]).await;
    client.shutdown("x", None).await.unwrap();
    client.stop("x").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (0, ExitReason::Stopped));
    // Frozen firmware hears nothing.
    client.start("x").await.unwrap();
    client.pause("x").await.unwrap();
    client.shutdown("x", None).await.unwrap();
    assert_eq!(client.wait("x").await.unwrap().reason, ExitReason::Stopped);
}

/// `mica stop` returns when the firmware has ended, and `--now` does not ask.
#[tokio::test]
async fn a_conf_file_says_how_the_command_stops_it() {
    let daemon = Daemon::start();
    let file = daemon.path("x.conf");
    let text = format!(
        "[Mica]\nName = x\nClientPath = {}\nPedestal = qemu\n[Micrun]\ncontainer.stop_command = console:exit 5\n\
         container.stop_timeout = 1h\n",
        demo().display()
    );
    std::fs::write(&file, text).unwrap();
    let client = daemon.client();
    let run = |arguments: &[&str]| {
        let done = mica(&daemon, arguments);
        assert!(done.status.success(), "{done:?}");
    };
    run(&["create", file.to_str().unwrap()]);
    run(&["stop", "x"]);
    for (arguments, status, reason) in [
        (&["stop", "x"][..], 5, ExitReason::Exited),
        (&["stop", "--all"], 5, ExitReason::Exited),
        (&["stop", "x", "--now"], 0, ExitReason::Stopped),
    ] {
        client.start("x").await.unwrap();
        daemon.console("x").read_to("micrun> ");
        run(arguments);
        let exit = client.stats("x").await.unwrap().exit.unwrap();
        assert_eq!((exit.status, exit.reason), (status, reason), "{arguments:?}");
    }
    let refused = client.set("x", "Stop", "soon").await.unwrap_err().to_string();
    assert!(
        refused.contains("the client cannot be stopped like that: \"soon\" is not button, line:STREAM"),
        "{refused}"
    );
}
