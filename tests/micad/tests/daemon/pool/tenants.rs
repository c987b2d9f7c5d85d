//! What firmware that comes into a machine sees, and what can be asked of it.

use rustix::process::Signal;

use super::{boot, pid, report, start, until_ready};
use crate::harness::{Console, demo, mica};
use crate::tiny_elf;

/// No byte of one tenant is in another's memory: a machine is used once.
#[tokio::test]
async fn a_canary_finds_nothing_of_another_tenant() {
    let daemon = start(3);
    let (marks, canary) = (tiny_elf::marks(daemon.dir()), tiny_elf::canary(daemon.dir()));
    let client = boot(&daemon, "marks0", &marks).await;
    daemon.console("marks0").read_to("M");
    until_ready(&daemon, 1).await;
    for round in 1..4 {
        let names = [format!("marks{round}"), format!("canary{round}")];
        boot(&daemon, &names[0], &marks).await;
        daemon.console(&names[0]).read_to("M");
        client.remove(&names[0]).await.unwrap();
        until_ready(&daemon, 3.min(2 * round)).await;
        boot(&daemon, &names[1], &canary).await;
        let said = daemon.console(&names[1]).read_until(|bytes| !bytes.is_empty());
        assert_eq!(said, b"C");
    }
    assert_eq!(report(&client).await.hits, 6, "{}", daemon.log());
}

/// All that a client can be asked for, also by the next daemon.
#[tokio::test]
async fn firmware_in_a_machine_that_waited_is_patched_saved_and_taken_over() {
    let mut daemon = start(1);
    let client = daemon.boot("first", &demo()).await;
    until_ready(&daemon, 1).await;
    daemon.boot("second", &demo()).await;
    assert_eq!(report(&client).await.hits, 1);
    let mut console = daemon.console("second");
    console.read_to("micrun> ");
    client.pause("second").await.unwrap();
    client.resume("second").await.unwrap();
    let run = |console: &mut Console, line: &str| {
        console.write(format!("{line}\r").as_bytes());
        console.read_to("micrun> ")
    };
    let process = pid(&client, "second").await;
    daemon.end(Signal::KILL);
    daemon.launch();
    assert_eq!(pid(&client, "second").await, process);
    assert!(run(&mut console, "uname").contains("micrun-demo"));
    let patched = micrun_host_tests::firmware::patched_demo();
    let said = mica(&daemon, &["patch", "second", patched.to_str().unwrap()]);
    assert!(said.status.success(), "{said:?}");
    assert!(run(&mut console, "uname").contains("patched-one"));

    let state = daemon.path("state");
    let state = state.to_str().unwrap();
    assert!(mica(&daemon, &["checkpoint", "second", state]).status.success());
    client.stop("second").await.unwrap();
    drop(console);
    let said = mica(&daemon, &["restore", "second", state]);
    assert!(said.status.success(), "{said:?} {}", daemon.log());
    let mut console = daemon.console("second");
    assert!(run(&mut console, "uname").contains("patched-one"));
    console.write(b"exit 7\r");
    assert_eq!(client.wait("second").await.unwrap().status, 7);
}
