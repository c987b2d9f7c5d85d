//! What the daemon says of firmware that shows no sign of life.

use libmica::Client;
use micrun_host_tests::firmware::mute;

use crate::harness::{Daemon, PATIENCE, mica};
use crate::tiny_elf::{self, Tiny};

/// Asks until the answer has this in it: the firmware has to get there first.
async fn diagnosed(client: &Client, name: &str, expected: &str) -> String {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let detail = client.diagnose(name, false).await.unwrap().detail;
        if detail.contains(expected) {
            return detail;
        }
        assert!(tokio::time::Instant::now() < deadline, "not {expected:?}, but {detail:?}");
    }
}

#[tokio::test]
async fn a_mute_firmware_is_seen_waiting_spinning_or_lost() {
    let daemon = Daemon::start();
    for (kind, expected) in [
        ("wait", "its processor waits for an interrupt at 0x"),
        ("spin", "its processor spins at 0x"),
        (
            "fault",
            "its processor is at 0x200, outside of the firmware's segments (EL1h, interrupts masked): an exc",
        ),
    ] {
        let client = daemon.boot(kind, &mute(kind)).await;
        let detail = diagnosed(&client, kind, expected).await;
        let function = match kind {
            "wait" => ", in wait_for_ever",
            "spin" => ", in poll_for_ever",
            _ => "before the firmware had installed exception vectors",
        };
        assert!(detail.contains(function), "{detail}");
        client.stop(kind).await.unwrap();
    }
}

/// A timer that nobody has enabled, and a fault handler that is none.
#[tokio::test]
async fn interrupts_that_nobody_takes_are_named() {
    let daemon = Daemon::start();
    let client = daemon.boot("deaf", &tiny_elf::deaf(daemon.dir())).await;
    diagnosed(&client, "deaf", "masked); pending: interrupt 27 (not enabled)").await;
    client.stop("deaf").await.unwrap();
    let client = daemon.boot("mute", &mute("wait")).await;
    diagnosed(&client, "mute", "; no interrupt is pending").await;
    let dir = tempfile::tempdir().unwrap();
    // Cortex-M: stack, reset handler, NMI, HardFault; it jumps to ARM code, and the handler stays where it is.
    let code = [0x2000_4000_u32, 17, 21, 21, 0x4700_2000, 0xe7fe_e7fe];
    let code: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
    let tiny = Tiny { machine: 40, base: 0, entry: 17, code: &code };
    let client = daemon.boot("m", &tiny_elf::write_tiny(dir.path(), &tiny)).await;
    diagnosed(&client, "m", "handler mode); it handles HardFault; no enabled interrupt is pending").await;
    // RISC-V: a software interrupt to itself.
    let code = [0x0200_02b7_u32, 0x0010_0313, 0x0062_a023, 0x0000_006f];
    let code: Vec<u8> = code.into_iter().flat_map(u32::to_le_bytes).collect();
    let dir = tempfile::tempdir().unwrap();
    let tiny = Tiny { machine: 243, base: 0x8000_0000, entry: 0x8000_0000, code: &code };
    let client = daemon.boot("v", &tiny_elf::write_tiny(dir.path(), &tiny)).await;
    diagnosed(&client, "v", "pending: machine software interrupt (not enabled)").await;
}

#[tokio::test]
async fn a_look_disturbs_nothing() {
    let daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let mut console = daemon.console("echo");
    console.read_to("H");
    for round in 0..5_u8 {
        let text = client.diagnose("echo", false).await.unwrap().detail;
        assert!(text.starts_with("its processor "), "{text}");
        console.write(&[b'a' + round]);
        console.read_until(|bytes| bytes == [b'a' + round]);
    }
    client.pause("echo").await.unwrap();
    let text = client.diagnose("echo", false).await.unwrap().detail;
    assert_eq!(text, "its machine does not run: it is paused");
}

/// The shim, which reads the console, says so; the daemon repeats it until the run ends.
#[tokio::test]
async fn silence_is_remembered_while_it_runs() {
    let daemon = Daemon::start();
    let client = daemon.boot("mute", &mute("wait")).await;
    assert_eq!(client.stats("mute").await.unwrap().silent, None);
    client.diagnose("mute", false).await.unwrap();
    assert_eq!(client.stats("mute").await.unwrap().silent, None, "who merely asks has not listened");
    let said = client.diagnose("mute", true).await.unwrap();
    assert_eq!(client.stats("mute").await.unwrap().silent.as_ref(), Some(&said));
    assert_eq!(client.list().await.unwrap().clients[0].silent.as_ref(), Some(&said));
    assert!(daemon.log().contains(&format!("mute: it runs and shows no sign of life: {}", said.detail)));
    let status = mica(&daemon, &["status"]);
    let remark = String::from_utf8(status.stderr).unwrap();
    assert!(status.status.success() && remark.contains("mica: mute has shown no sign of life"), "{remark}");
    let top = mica(&daemon, &["top", "--batch", "-n", "1"]);
    let shown = String::from_utf8(top.stdout).unwrap();
    assert!(shown.contains("SILENT") && shown.contains(&said.detail), "{shown}");
    client.stop("mute").await.unwrap();
    assert_eq!(client.stats("mute").await.unwrap().silent, None);
    let error = client.diagnose("mute", false).await.unwrap_err();
    assert!(error.to_string().contains("cannot diagnose mute: it is Offline"), "{error}");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_look_at_a_machine_that_does_not_answer() {
    let daemon = Daemon::forgetful();
    let client = daemon.boot("full", &tiny_elf::flood(daemon.dir(), u32::MAX)).await;
    let _held = crate::harness::hold(&client, "full").await;
    let _ = crate::harness::until_blocked(&client, "full").await;
    let (seen, stopped) = tokio::join!(client.diagnose("full", false), client.stop("full"));
    stopped.unwrap();
    // It may have come to its end just before.
    if let Ok(seen) = seen {
        assert!(seen.detail.contains("nothing can be seen of its machine"), "{}", seen.detail);
    }
}

#[test]
fn the_command_prints_it() {
    let daemon = Daemon::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = runtime.block_on(daemon.boot("mute", &mute("wait")));
    runtime.block_on(diagnosed(&client, "mute", "wait_for_ever"));
    let output = mica(&daemon, &["diagnose", "mute"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("waits for an interrupt"), "{output:?}");
}
