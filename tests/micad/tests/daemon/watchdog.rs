//! Firmware that runs and does nothing more is ended, or started again.

use libmica::ext::{Event, ExitReason, Happening};
use micrun_host_tests::firmware::{demo, mute};
use rustix::process::Signal;

use crate::harness::{Daemon, mica};

/// Has the demo mask its interrupts and spin; gives what the daemon says of its end.
async fn spin(watchdog: &str, restarted: bool) -> String {
    let mut daemon = Daemon::start();
    let client = daemon.boot("x", &demo()).await;
    let mut console = daemon.console("x");
    console.read_to("micrun> ");
    client.set("x", "Watchdog", watchdog).await.unwrap();
    if restarted {
        daemon.end(Signal::TERM);
        daemon.launch();
    }
    console.write(b"spin\r");
    console.read_to("spinning");
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Watchdog), "{}", report.detail);
    report.detail
}

#[tokio::test]
async fn a_processor_that_takes_no_rest_is_ended_and_its_function_told() {
    let said = spin("spin:2s", false).await;
    assert!(
        said.starts_with("its watchdog has seen its processor take no rest for 2s; its processor was at 0x"),
        "{said}"
    );
    assert!(said.contains(", in spin+0x"), "{said}");
}

/// The next daemon goes on watching.
#[tokio::test]
async fn a_heart_that_stops_is_the_end() {
    let said = spin("heartbeat:3s", true).await;
    assert!(said.starts_with("its watchdog has seen no heartbeat for 3s; its processor was at 0x"), "{said}");
}

/// The demo says nothing at its prompt.
#[tokio::test]
async fn a_console_that_falls_silent_is_the_end() {
    let daemon = Daemon::start();
    let client = daemon.boot("x", &demo()).await;
    daemon.console("x").read_to("micrun> ");
    client.set("x", "Watchdog", "console:500ms").await.unwrap();
    let report = client.wait("x").await.unwrap();
    assert_eq!((report.status, report.reason), (137, ExitReason::Watchdog));
    let said = "its watchdog has seen nothing on its console for 500ms; its processor was at 0x";
    assert!(report.detail.starts_with(said), "{}", report.detail);
}

#[tokio::test]
async fn a_watchdog_can_start_firmware_again_until_it_is_off() {
    let daemon = Daemon::start();
    let client = daemon.create("x", &mute("spin")).await;
    for word in ["spin:500ms", "restart"] {
        client.set("x", "Watchdog", word).await.unwrap();
    }
    let mut events = client.events().await.unwrap();
    client.start("x").await.unwrap();
    let mut told = Vec::new();
    while told.len() < 4 {
        let line = events.next().await.unwrap().unwrap();
        match serde_json::from_str::<Event>(&line).unwrap().what {
            Happening::Started { starts, .. } => told.push(format!("start {starts}")),
            Happening::Exited { exit, .. } => told.push(exit.reason.as_str().to_owned()),
            _ => {}
        }
    }
    assert_eq!(told, ["start 1", "watchdog", "start 2", "watchdog"]);
    client.set("x", "Watchdog", "off").await.unwrap();
    client.stop("x").await.unwrap();
    assert!(daemon.log().contains("x: its watchdog starts it again"), "{}", daemon.log());
    let refused = client.set("x", "Watchdog", "soon").await.unwrap_err().to_string();
    assert!(
        refused.contains("\"soon\" is not heartbeat:TIME, spin:TIME, console:TIME, end, restart or off"),
        "{refused}"
    );
}

/// A client's conf file says it where an image does.
#[tokio::test]
async fn a_conf_file_can_ask_for_it() {
    let daemon = Daemon::start();
    let file = daemon.path("x.conf");
    let firmware = mute("spin");
    let text = format!(
        "[Mica]\nName = x\nClientPath = {}\nPedestal = qemu\n[Micrun]\ncontainer.watchdog = spin:500ms\n",
        firmware.display()
    );
    std::fs::write(&file, text).unwrap();
    let created = mica(&daemon, &["create", file.to_str().unwrap()]);
    assert!(created.status.success(), "{created:?}");
    let client = daemon.client();
    client.start("x").await.unwrap();
    assert_eq!(client.wait("x").await.unwrap().reason, ExitReason::Watchdog);
}
