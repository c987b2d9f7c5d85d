//! A client's conf file is read when the client is created, and never again.

use std::fs;

use libmica::CreateMessage;
use rustix::process::Signal;

use crate::harness::{Daemon, message};
use crate::tiny_elf;

/// The arguments of the client's QEMU.
async fn arguments(daemon: &Daemon, name: &str) -> Vec<String> {
    let pid = daemon.client().stats(name).await.unwrap().pid;
    let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    line.split_terminator('\0').map(str::to_owned).collect()
}

/// The values that the machine has of what `[Qemu]` says.
async fn machine(daemon: &Daemon, name: &str) -> [Option<String>; 4] {
    let arguments = arguments(daemon, name).await;
    ["-machine", "-cpu", "-m", "-append"].map(|option| {
        let value = arguments.iter().skip_while(|argument| *argument != option).nth(1);
        value.cloned()
    })
}

const FIRST: &str = "[Qemu]\nMachine = virt,gic-version=2\nCPU = cortex-a57\nMemory = 48\nAppend = first\n";
const SECOND: &str = "[Qemu]\nMachine = virt,secure=on\nCPU = cortex-a53\nMemory = 96\nAppend = second\n";

fn first() -> [Option<String>; 4] {
    ["virt,gic-version=2,acpi=off", "cortex-a57", "48", "first"].map(|value| Some(value.to_owned()))
}

#[tokio::test]
async fn an_edit_after_the_creation_changes_no_machine() {
    let mut daemon = Daemon::start();
    let file = daemon.path("client.conf");
    fs::write(&file, FIRST).unwrap();
    let firmware = tiny_elf::spins(daemon.dir());
    let message = CreateMessage { pedestal_conf: file.clone(), ..message("x", &firmware) };
    let client = daemon.client();
    client.create(&message).await.unwrap();

    fs::write(&file, SECOND).unwrap();
    client.start("x").await.unwrap();
    assert_eq!(machine(&daemon, "x").await, first());
    client.stop("x").await.unwrap();

    daemon.end(Signal::TERM);
    fs::remove_file(&file).unwrap();
    daemon.launch();
    client.start("x").await.unwrap();
    assert_eq!(machine(&daemon, "x").await, first());

    // Whoever wants the new file's machine creates the client anew.
    client.remove("x").await.unwrap();
    fs::write(&file, SECOND).unwrap();
    client.create(&message).await.unwrap();
    client.start("x").await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    assert_eq!(machine(&daemon, "x").await[2].as_deref(), Some("96"));
}

#[tokio::test]
async fn a_state_without_the_machine_gets_it_from_the_file_once() {
    let mut daemon = Daemon::start();
    let file = daemon.path("client.conf");
    fs::write(&file, FIRST).unwrap();
    let firmware = tiny_elf::spins(daemon.dir());
    let client = daemon.client();
    client.create(&CreateMessage { pedestal_conf: file.clone(), ..message("x", &firmware) }).await.unwrap();
    daemon.end(Signal::TERM);
    // As micad 0.1 wrote it.
    let state = daemon.run_dir().join("clients/x/state.json");
    let mut old: serde_json::Value = serde_json::from_slice(&fs::read(&state).unwrap()).unwrap();
    old.as_object_mut().unwrap().remove("qemu").unwrap();
    fs::write(&state, old.to_string()).unwrap();
    daemon.launch();
    fs::write(&file, SECOND).unwrap();
    client.start("x").await.unwrap();
    assert_eq!(machine(&daemon, "x").await, first());
}
