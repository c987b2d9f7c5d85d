//! Which starts find a machine.

use std::fs;

use libmica::CreateMessage;

use super::{MEMORY, boot, pid, report, start, start_with, until_ready, waiting};
use crate::harness::{eventually, message};
use crate::metrics::Numbers;
use crate::tiny_elf;

#[tokio::test]
async fn a_start_takes_a_machine_that_waits_and_one_that_does_not_fit_is_as_ever() {
    let daemon = start(2);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "first", &echo).await;
    until_ready(&daemon, 1).await;
    assert!(report(&client).await.memory_bytes > 1 << 20);
    let waited = waiting(&daemon);

    boot(&daemon, "second", &echo).await;
    assert!(waited.contains(&pid(&client, "second").await));
    daemon.console("second").read_to("H");
    let mut console = daemon.console("second");
    console.write(b"hello");
    console.read_to("hello");
    let report_now = report(&client).await;
    assert_eq!((report_now.hits, report_now.misses), (1, 1), "{}", daemon.log());

    // Another amount of memory, another entry, a second console, a debugger: each is another machine.
    until_ready(&daemon, 2).await;
    let other = CreateMessage { memory: MEMORY + 1, ..message("memory", &echo) };
    let debug = CreateMessage { memory: MEMORY, debug: true, ..message("debug", &echo) };
    let vcpus = CreateMessage { memory: MEMORY, vcpus: 2, ..message("vcpus", &echo) };
    for message in [other, debug, vcpus] {
        client.create(&message).await.unwrap();
        client.start(&message.name).await.unwrap();
        daemon.console(&message.name).read_to("H");
    }
    let report_now = report(&client).await;
    assert_eq!((report_now.hits, report_now.misses), (1, 4), "{}", daemon.log());
    let numbers = Numbers::of(&client).await;
    for (name, value) in [("hits_total", 1.0), ("misses_total", 4.0), ("machines_max", 2.0)] {
        let counted = numbers.get(&format!("mica_pool_{name}"));
        assert!((counted - value).abs() < f64::EPSILON, "{name} is {counted}");
    }
    until_ready(&daemon, 2).await;
    let numbers = Numbers::of(&client).await;
    assert!(numbers.get("mica_pool_machines") > 1.0 && numbers.get("mica_pool_memory_bytes") > 2e6);
}

/// A pool serves as many starts at once as it has machines. `MICRUN_STARTS=20` prints how long twenty take.
#[tokio::test]
async fn as_many_starts_at_once_as_machines_wait_find_one_each() {
    let count = std::env::var("MICRUN_STARTS").map_or(5, |text| text.parse().unwrap());
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "[Micad]\nWaitingMemory = 1000\n").unwrap();
    let daemon = start_with(count, &["--config", config.path().to_str().unwrap()]);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "one", &echo).await;
    for ready in 1..=count {
        until_ready(&daemon, ready).await;
        client.stop("one").await.unwrap();
        client.start("one").await.unwrap();
    }
    until_ready(&daemon, count).await;
    let before = report(&client).await.hits;
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..count {
        let name = format!("start{number}");
        client.create(&CreateMessage { memory: MEMORY, ..message(&name, &echo) }).await.unwrap();
        let client = client.clone();
        starts.spawn(async move { client.start(&name).await });
    }
    let begun = std::time::Instant::now();
    while let Some(started) = starts.join_next().await {
        started.unwrap().unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    }
    (0..count).for_each(|number| drop(daemon.console(&format!("start{number}")).read_to("H")));
    println!("{count} starts, all first bytes after {:?}", begun.elapsed());
    let machines = report(&client).await;
    assert_eq!(machines.hits - before, count as u64, "{}", daemon.log());
}

#[tokio::test]
async fn none_waits_without_room_or_while_memory_is_short() {
    let config = tempfile::NamedTempFile::new().unwrap();
    fs::write(config.path(), "[Micad]\nWaitingMemory = 1\n").unwrap();
    let daemon = start_with(4, &["--config", config.path().to_str().unwrap()]);
    let spins = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "one", &spins).await;
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    let machines = report(&client).await;
    assert_eq!((machines.ready, machines.most, machines.hits, machines.misses), (0, 4, 0, 2));

    let daemon = start(1);
    let client = boot(&daemon, "one", &spins).await;
    until_ready(&daemon, 1).await;
    let pressure = daemon.path("system/proc/pressure/memory");
    fs::write(&pressure, "some avg10=37.50 avg60=1.00 avg300=0.10 total=9\n").unwrap();
    // Whoever starts finds the machine, and none follows.
    client.stop("one").await.unwrap();
    client.start("one").await.unwrap();
    eventually("the pool is empty", || waiting(&daemon).is_empty()).await;
    assert_eq!((report(&client).await.hits, report(&client).await.ready), (1, 0));
    eventually("the daemon says why", || daemon.log().contains("memory is short")).await;
}
