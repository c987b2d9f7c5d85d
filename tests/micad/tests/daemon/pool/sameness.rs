//! A machine that waited is as confined as any other, and the same.

use std::fs;
use std::io::{PipeReader, Read, pipe};
use std::os::unix::fs::MetadataExt;

use libmica::{CreateMessage, Launch};

use super::{CLIENTS, MEMORY, boot, device_tree, pid, report, start, until_ready};
use crate::harness::message;
use crate::monitor::Monitor;
use crate::tiny_elf;

/// Where memory begins in QEMU's `virt`.
const RAM: u64 = 0x4000_0000;

/// The process is as confined as any other, has a user of its own, and is in the client's cgroup before its firmware runs.
#[tokio::test]
async fn a_machine_that_waited_is_confined_and_joins_its_cgroups() {
    let daemon = start(1);
    let echo = tiny_elf::echo(daemon.dir());
    let client = boot(&daemon, "first", &echo).await;
    until_ready(&daemon, 1).await;
    client.create(&CreateMessage { memory: MEMORY, ..message("second", &echo) }).await.unwrap();
    // A pipe stands for the `cgroup.procs` file.
    let (mut reader, writer) = pipe().unwrap();
    let launch = Launch { cgroups: vec![writer.into()], ..Launch::default() };
    client.launch("second", &launch).await.unwrap();
    drop(launch);
    assert_eq!(report(&client).await.hits, 1);
    let process = pid(&client, "second").await;
    assert_eq!(read_all(&mut reader), process.to_string());

    let status = |pid: u32| fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let (ordinary, waited) = (pid(&client, "first").await, process);
    let line =
        |pid: u32, key: &str| status(pid).lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    for key in ["NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "CapBnd:", "CapEff:", "Groups:"] {
        assert_eq!(line(ordinary, key), line(waited, key));
    }
    let limits = |pid: u32| fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    assert_eq!(limits(ordinary), limits(waited));
    for namespace in ["pid", "net", "ipc", "uts"] {
        let of = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).unwrap();
        assert_ne!(of(ordinary), of(waited), "{namespace}");
    }
    let user = |pid: u32| fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    assert!(user(waited) >= user(ordinary) + CLIENTS - 1, "{} {}", user(ordinary), user(waited));
}

fn read_all(reader: &mut PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    text
}

/// Processors, devices and memory of a machine that waited are those of an ordinary start. Its firmware stays at its first
/// instruction, and both machines are looked at there.
#[tokio::test]
async fn a_machine_that_waited_cannot_be_told_from_another() {
    let mut daemon = start(1);
    let firmware = tiny_elf::spins(daemon.dir());
    let client = boot(&daemon, "ordinary", &firmware).await;
    until_ready(&daemon, 1).await;
    boot(&daemon, "waited", &firmware).await;
    assert_eq!(report(&client).await.hits, 1);
    let pids = [pid(&client, "ordinary").await, pid(&client, "waited").await];
    daemon.kill();
    daemon.reap();

    let mut machines = ["ordinary", "waited"]
        .map(|name| Monitor::connect(&daemon.run_dir().join("clients").join(name).join("qmp.sock")));
    for machine in &mut machines {
        machine.command("stop", &serde_json::json!({}));
    }
    for question in ["info registers -a", "info mtree", "info qtree"] {
        let [ordinary, waited] = machines.each_mut().map(|machine| machine.ask(question));
        assert!(ordinary.len() > 100, "{ordinary}");
        // Some of it is in the order of a hash table.
        let sorted = |text: &str| text.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(sorted(&ordinary), sorted(&waited));
    }
    let size = usize::try_from(MEMORY).unwrap() << 20;
    let [ordinary, waited] = [0, 1].map(|index| {
        let mut memory = machines[index].memory(pids[index], RAM, size);
        let seeds = device_tree::forget_seeds(&mut memory);
        assert_eq!(seeds, 2, "QEMU puts two random numbers into each device tree");
        memory
    });
    assert!(ordinary.iter().any(|byte| *byte != 0));
    let differs = (0..size).find(|at| ordinary[*at] != waited[*at]);
    assert_eq!(differs, None, "the first byte that differs");
    drop(machines);
    daemon.launch();
}
