//! What is left of machines that wait, however the daemon ends.

use std::fs;

use libmica::ClientState;
use rustix::process::Signal;

use super::{boot, kill, start, until_ready, waiting};
use crate::harness::{eventually, is_alive};
use crate::tiny_elf;

/// However the daemon or a machine ends.
#[tokio::test]
async fn no_waiting_machine_is_left_behind() {
    let mut daemon = start(2);
    let spins = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "one", &spins).await;
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    until_ready(&daemon, 2).await;

    // A machine that is killed is replaced.
    let before = waiting(&daemon);
    let victim = *before.first().unwrap();
    kill(victim);
    eventually("another one waits", || waiting(&daemon).len() == 2 && !waiting(&daemon).contains(&victim))
        .await;
    assert!(!is_alive(victim));
    assert!(daemon.log().contains("a waiting machine has ended"));

    // A daemon that ends takes them along.
    until_ready(&daemon, 2).await;
    let before = waiting(&daemon);
    daemon.end(Signal::TERM);
    assert!(before.iter().all(|pid| !is_alive(*pid)), "{before:?}");
    assert_eq!(fs::read_dir(daemon.run_dir().join("waiting")).unwrap().count(), 0);

    // One that is killed leaves them to the next, which has no use for them.
    daemon.launch();
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    until_ready(&daemon, 1).await;
    let before = waiting(&daemon);
    daemon.end(Signal::KILL);
    assert!(before.iter().all(|pid| is_alive(*pid)));
    daemon.launch();
    assert!(before.iter().all(|pid| !is_alive(*pid)), "{before:?}");
    assert_eq!(waiting(&daemon).len(), 0);
    assert_eq!(client.status("one").await.unwrap().state, ClientState::Running);
}
