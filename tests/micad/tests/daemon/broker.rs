//! The broker of a console: any number of readers, and firmware that waits for none of them.

use std::fs;
use std::time::Duration;

use libmica::attach::{Attach, From, Mode};
use libmica::client::Output;
use libmica::ext::ExitReason;
use libmica::{Client, ClientState};
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, eventually, hold, is_alive, mica};
use crate::tiny_elf;

const MEGABYTE: usize = 1 << 20;

fn ask(from: From, mode: Mode) -> Attach {
    Attach { stream: "0".to_owned(), from, mode }
}

/// Reads to the end; gives the position of the first byte, and all that follow, of which none is missing.
async fn rest(output: &mut Output) -> (u64, Vec<u8>) {
    let (mut begin, mut bytes) = (None, Vec::new());
    while let Some(chunk) = output.next().await.unwrap() {
        let begin = *begin.get_or_insert(chunk.position);
        assert_eq!(chunk.position, begin + bytes.len() as u64, "bytes are lost");
        bytes.extend(chunk.bytes);
    }
    (begin.unwrap_or_default(), bytes)
}

/// The process that has the console of client `name`.
fn broker(daemon: &Daemon, name: &str) -> Pid {
    let state = fs::read(daemon.run_dir().join(format!("clients/{name}/state.json"))).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let pid = state.pointer("/run/ports/0/broker/pid").and_then(serde_json::Value::as_i64).unwrap();
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

async fn attach(client: &Client, name: &str, from: From, mode: Mode) -> Output {
    client.attach(name, &ask(from, mode)).await.unwrap().split().0
}

/// Reads until `text` has come.
async fn read_to(output: &mut Output, text: &str) -> String {
    let mut seen = String::new();
    while !seen.ends_with(text) {
        let chunk = output.next().await.unwrap().unwrap_or_else(|| panic!("ended after {seen:?}"));
        seen.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
    }
    seen
}

#[tokio::test]
async fn a_flood_without_a_reader_runs_to_its_end_and_its_last_mebibyte_is_kept() {
    const ALL: usize = 3 * MEGABYTE + 77;
    let daemon = Daemon::start();
    let count = u32::try_from(ALL).unwrap();
    let client = daemon.boot("flood", &tiny_elf::flood(daemon.dir(), count)).await;
    assert_eq!(client.wait("flood").await.unwrap().reason, ExitReason::Exited);
    let expected = tiny_elf::flood_bytes(ALL);
    let logs = mica(&daemon, &["logs", "flood"]);
    assert!(logs.status.success() && logs.stdout == expected[ALL - MEGABYTE..], "{}", logs.stdout.len());
    // The kernel has the first bytes for the pty's reader, who then gets what is kept.
    let bytes = daemon.console("flood").read_until(|b| b.ends_with(&expected[ALL - MEGABYTE..]));
    assert!(bytes.len() < ALL);
    // A further run has its own, and the one before is there.
    client.start("flood").await.unwrap();
    client.wait("flood").await.unwrap();
    let (begin, bytes) = rest(&mut attach(&client, "flood", From::Previous, Mode::Dump).await).await;
    assert!(usize::try_from(begin) == Ok(ALL - MEGABYTE) && bytes == expected[ALL - MEGABYTE..]);
}

#[tokio::test]
async fn all_readers_get_the_same_bytes_and_each_may_type() {
    let daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let mut console = daemon.console("echo");
    let (mut one, mut typist) = client.attach("echo", &ask(From::Start, Mode::Write)).await.unwrap().split();
    let mut two = attach(&client, "echo", From::Start, Mode::Read).await;
    assert_eq!((read_to(&mut one, "H").await, read_to(&mut two, "H").await), ("H".into(), "H".into()));
    assert_eq!(console.read_to("H"), "H");
    tokio::io::AsyncWriteExt::write_all(&mut typist, b"typed").await.unwrap();
    assert_eq!(read_to(&mut one, "typed").await, "typed");
    console.write(b" twice");
    assert_eq!(read_to(&mut two, " twice").await, "typed twice");
    assert_eq!(console.read_to(" twice"), "typed twice");
    // From where somebody else has stopped, or from now on.
    assert_eq!(
        read_to(&mut attach(&client, "echo", From::Position(6), Mode::Read).await, "twice").await,
        " twice"
    );
    let (_, nothing) = rest(&mut attach(&client, "echo", From::End, Mode::Dump).await).await;
    assert_eq!(nothing, b"");
    // All are told the end, after all bytes.
    client.stop("echo").await.unwrap();
    assert_eq!(rest(&mut one).await.1, b" twice");
    assert_eq!(rest(&mut two).await.1, b"");
    let known = client.attach("echo", &Attach { stream: "x".to_owned(), ..ask(From::End, Mode::Read) }).await;
    let said = known.unwrap_err().to_string();
    assert!(said.contains("echo has no stream \"x\": it has rpmsg-tty"), "{said}");
}

#[tokio::test]
async fn a_reader_that_stalls_loses_its_oldest_bytes_alone_and_can_tell() {
    const ALL: u32 = 3 << 20;
    let daemon = Daemon::forgetful();
    let client = daemon.create("flood", &tiny_elf::flood(daemon.dir(), ALL)).await;
    client.start("flood").await.unwrap();
    let mut slow = attach(&client, "flood", From::Start, Mode::Read).await;
    client.wait("flood").await.unwrap();
    let (mut position, mut missing) = (None, 0);
    while let Some(chunk) = slow.next().await.unwrap() {
        missing += position.map_or(0, |expected| chunk.position - expected);
        assert_eq!(chunk.bytes[0], chunk.position.to_le_bytes()[0]);
        position = Some(chunk.position + chunk.bytes.len() as u64);
    }
    assert_eq!(position, Some(u64::from(ALL)));
    assert!(missing > 0, "nothing was lost");
    // Everybody who counts says the same. The pty, which nobody reads, has lost nothing.
    let shown = serde_json::json!({"bytes": ALL, "lost_bytes": missing});
    eventually("it is counted", || crate::watch::row(&daemon, "flood")["console"] == shown).await;
    for command in [&["inspect", "flood"][..], &["ps", "--json"], &["top", "--json", "-n", "1"]] {
        let told = crate::watch::document(&daemon, command);
        let row = if command[0] == "inspect" { &told } else { &told["clients"][0] };
        assert_eq!(row["console"], shown, "{command:?}: {told}");
    }
    let metrics = client.metrics(false).await.unwrap();
    for line in [
        format!("mica_client_console_bytes_total{{client=\"flood\"}} {ALL}\n"),
        format!("mica_client_console_lost_bytes_total{{client=\"flood\"}} {missing}\n"),
    ] {
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
    let table = String::from_utf8(mica(&daemon, &["ps"]).stdout).unwrap();
    assert!(table.contains(" CONSOLE ") && table.contains("3.0 MiB"), "{table}");
}

#[tokio::test]
async fn firmware_waits_for_a_reader_that_may_lose_nothing() {
    const ALL: u32 = 3 << 20;
    let daemon = Daemon::forgetful();
    let client = daemon.boot("flood", &tiny_elf::flood(daemon.dir(), ALL)).await;
    let (mut held, _) = hold(&client, "flood").await.split();
    // It is a whole ring and a socket's buffer behind.
    crate::harness::until_blocked(&client, "flood").await;
    // The pause that was asked for comes when QEMU can go on.
    let resume = async {
        while client.status("flood").await.unwrap().state != ClientState::Suspended {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        client.resume("flood").await.unwrap();
    };
    let ((begin, bytes), ()) = tokio::join!(rest(&mut held), resume);
    assert_eq!(begin + bytes.len() as u64, u64::from(ALL));
    let report = client.wait("flood").await.unwrap();
    assert_eq!(report.reason, ExitReason::Exited);
}

#[tokio::test]
async fn attached_readers_do_not_notice_that_the_daemon_is_killed() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let (mut output, mut input) =
        client.attach("echo", &ask(From::Start, Mode::Write)).await.unwrap().split();
    read_to(&mut output, "H").await;
    daemon.end(Signal::KILL);
    tokio::io::AsyncWriteExt::write_all(&mut input, b"alone").await.unwrap();
    assert_eq!(read_to(&mut output, "alone").await, "alone");
    daemon.launch();
    tokio::io::AsyncWriteExt::write_all(&mut input, b"again").await.unwrap();
    assert_eq!(read_to(&mut output, "again").await, "again");
    assert_eq!(mica(&daemon, &["logs", "echo"]).stdout, b"Haloneagain");
    client.stop("echo").await.unwrap();
    assert_eq!(rest(&mut output).await.1, b"");
}

#[tokio::test]
async fn a_killed_broker_is_replaced_and_nothing_is_forgotten() {
    let mut daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    let mut console = daemon.console("echo");
    console.read_to("H");
    for round in 0..2 {
        let old = broker(&daemon, "echo");
        let mut output = attach(&client, "echo", From::End, Mode::Read).await;
        if round == 1 {
            // Nobody is there to notice it at first.
            daemon.end(Signal::KILL);
        }
        rustix::process::kill_process(old, Signal::KILL).unwrap();
        assert!(matches!(output.next().await, Err(libmica::Error::ConsoleLost { .. })));
        if round == 1 {
            daemon.launch();
        }
        eventually("another one is written down", || broker(&daemon, "echo") != old).await;
        assert!(is_alive(client.stats("echo").await.unwrap().pid));
        let mut console = daemon.console("echo");
        console.write(format!("round {round}").as_bytes());
        assert_eq!(console.read_to(&round.to_string()), format!("round {round}"));
    }
    assert_eq!(mica(&daemon, &["logs", "echo"]).stdout, b"Hround 0round 1");
    client.remove("echo").await.unwrap();
}

#[tokio::test]
async fn a_removed_client_leaves_no_broker() {
    let daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    daemon.console("echo").read_to("H");
    let pid = broker(&daemon, "echo").as_raw_nonzero().get().unsigned_abs();
    client.remove("echo").await.unwrap();
    eventually("the broker is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_broker_without_work_is_at_rest() {
    let daemon = Daemon::start();
    daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    daemon.console("echo").read_to("H");
    let pid = broker(&daemon, "echo").as_raw_nonzero();
    let switches = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    // What was begun before may still end, on a machine that stalls; then nothing happens for a whole second.
    let mut before = switches();
    let mut rested = false;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = switches();
        rested = now == before;
        if rested {
            break;
        }
        before = now;
    }
    assert!(rested, "the broker works each second");
}

#[tokio::test]
async fn logs_and_console_are_for_people() {
    let daemon = Daemon::configured("ConsoleRing = 64");
    let client = daemon.boot("demo", &crate::harness::demo()).await;
    let mut output = attach(&client, "demo", From::Start, Mode::Read).await;
    read_to(&mut output, "micrun> ").await;
    let mut console = daemon.console("demo");
    console.read_to("micrun> ");
    console.write(b"echo one\r");
    console.read_to("micrun> ");
    let printed = |arguments: &[&str]| {
        let output = mica(&daemon, arguments);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = printed(&["logs", "demo"]);
    assert!(all.starts_with("micrun FreeRTOS demo\r\n") && all.ends_with("one\r\nmicrun> "), "{all:?}");
    assert_eq!(printed(&["logs", "--tail", "2", "demo"]), "one\r\nmicrun> ");
    let dated = printed(&["logs", "-t", "--stream", "rpmsg-tty", "--tail", "1", "demo"]);
    assert!(dated.starts_with("20") && dated.ends_with("Z micrun> "), "{dated:?}");
    assert_eq!(printed(&["logs", "--since", "2100-01-01T00:00:00Z", "demo"]), "");
    assert_eq!(printed(&["logs", "--since", "1h", "demo"]), all);
    // Follows to the end; the console's command types, and hears the end.
    let follow = ["logs", "--follow", "demo"];
    let ((), followed) = std::thread::scope(|threads| {
        let followed = threads.spawn(|| printed(&follow));
        let typed = threads.spawn(|| {
            let mut command = std::process::Command::new(micrun_host_tests::isolation::binary("mica"));
            command.arg("--runtime-dir").arg(daemon.run_dir()).args(["console", "demo"]);
            let stdio = std::process::Stdio::piped;
            let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
            std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"echo two\rexit 3\r").unwrap();
            let output = child.wait_with_output().unwrap();
            let (shown, said) =
                (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(shown.contains("two\r\n"), "{shown:?}");
            assert!(said.contains("this is the console of demo; Ctrl-] leaves"), "{said}");
            assert!(said.contains("the firmware of demo has ended"), "{said}");
        });
        (typed.join().unwrap(), followed.join().unwrap())
    });
    assert!(followed.starts_with(&all) && followed.contains("two\r\n"), "{followed:?}");
    assert_eq!(client.wait("demo").await.unwrap().status, 3);
    client.start("demo").await.unwrap();
    assert_eq!(printed(&["logs", "--previous", "demo"]), followed);
}

#[tokio::test]
async fn the_escape_key_leaves_a_console() {
    let daemon = Daemon::start();
    let client = daemon.boot("echo", &tiny_elf::echo(daemon.dir())).await;
    for (escape, typed) in [("ctrl-]", "a\x1d"), ("ctrl-p", "b\x10")] {
        let mut command = std::process::Command::new(micrun_host_tests::isolation::binary("mica"));
        command.arg("--runtime-dir").arg(daemon.run_dir()).args(["console", "--escape", escape, "echo"]);
        let stdio = std::process::Stdio::piped;
        let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("left echo"), "{output:?}");
    }
    // What was typed before it was typed all the same.
    let mut output = attach(&client, "echo", From::Start, Mode::Read).await;
    assert_eq!(read_to(&mut output, "b").await, "Hab");
}

#[tokio::test]
async fn a_ring_may_be_on_a_disk_and_goes_with_its_client() {
    let disk = tempfile::tempdir().unwrap();
    let daemon = Daemon::configured(&format!("ConsoleDir = {}", disk.path().display()));
    let client = daemon.boot("x", &tiny_elf::flood(daemon.dir(), 3000)).await;
    client.wait("x").await.unwrap();
    assert!(disk.path().join("x.console0").exists());
    assert_eq!(mica(&daemon, &["logs", "x"]).stdout, tiny_elf::flood_bytes(3000));
    client.start("x").await.unwrap();
    assert!(disk.path().join("x.console0.previous").exists());
    client.remove("x").await.unwrap();
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}
