//! Machines that wait for a firmware.

mod cycles;
mod device_tree;
mod endings;
mod sameness;
mod starts;
mod tenants;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use libmica::ext::WaitingMachines;
use libmica::{Client, CreateMessage};
use rustix::process::{Pid, Signal};

use crate::harness::{Daemon, message};

/// The memory of the small firmware here in MiB: there is room for its device tree and 14 more.
const MEMORY: i32 = 16;
/// The first user of the machines of this test's daemons, and how many numbers clients have.
const FIRST_USER: u32 = 1_850_000_000;
const CLIENTS: u32 = 1 << 15;

/// A daemon that keeps so many machines waiting. The machine that tests it may be short of memory: it is not told.
fn start(most: usize) -> Daemon {
    start_with(most, &[])
}

fn start_with(most: usize, more: &[&str]) -> Daemon {
    let dir = tempfile::Builder::new().prefix("micad").tempdir().unwrap();
    let system = dir.path().join("system");
    fs::create_dir_all(system.join("proc/pressure")).unwrap();
    let user = first_user().to_string();
    let (system, most) = (system.to_str().unwrap(), most.to_string());
    let options = ["--sysfs-root", system, "--waiting-machines", &most, "--qemu-uid-base", &user, "-v"];
    Daemon::start_in(dir, &[&options, more].concat())
}

/// That of this process's daemons: a process has one at a time.
fn first_user() -> u32 {
    FIRST_USER + std::process::id() % 1000 * 2 * CLIENTS
}

/// The processes of the machines that wait.
fn waiting(daemon: &Daemon) -> BTreeSet<u32> {
    let records = fs::read_dir(daemon.run_dir().join("waiting")).into_iter().flatten().flatten();
    let read = records.filter_map(|dir| fs::read(dir.path().join("process.json")).ok());
    let pid = |text: Vec<u8>| serde_json::from_slice::<serde_json::Value>(&text).ok()?["pid"].as_u64();
    read.filter_map(pid).map(|pid| u32::try_from(pid).unwrap()).collect()
}

async fn report(client: &Client) -> WaitingMachines {
    client.version().await.unwrap().pools.unwrap().machines.unwrap()
}

async fn until_ready(daemon: &Daemon, count: usize) {
    let client = daemon.client();
    while report(&client).await.ready != count {
        let log = daemon.log();
        assert!(!log.contains("no machine waits"), "{log}");
        tokio::task::yield_now().await;
    }
}

/// Creates and starts a client with little memory.
async fn boot(daemon: &Daemon, name: &str, firmware: &Path) -> Client {
    let client = daemon.client();
    client.create(&CreateMessage { memory: MEMORY, ..message(name, firmware) }).await.unwrap();
    client.start(name).await.unwrap_or_else(|e| panic!("{e}: {}", daemon.log()));
    client
}

async fn pid(client: &Client, name: &str) -> u32 {
    client.stats(name).await.unwrap().pid
}

fn kill(pid: u32) {
    rustix::process::kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}
