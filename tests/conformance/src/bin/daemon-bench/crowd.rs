//! A crowd: as many firmware in one daemon as were asked for, or as the machine has memory for.

use std::fs;
use std::time::Instant;

use libmica::{CreateMessage, Launch};
use micrun_host_tests::firmware;
use tokio::task::JoinSet;

use crate::{Asking, Bench, rank};

/// Memory that is left to others, in kB.
const LEFT_FREE: u64 = 4 << 20;
/// Memory of one machine in MiB. The firmware waits for interrupts and touches next to none.
const MEMORY: i32 = 16;

/// Creates `number` clients, starts them one after the other, waits for the end of each, and prints what they cost.
pub(crate) fn print(bench: &Bench, number: usize) {
    let names: Vec<String> = (0..number).map(|number| format!("crowd{number}")).collect();
    let empty = Cost::of(bench);
    for name in &names {
        bench.create_as(&CreateMessage { memory: MEMORY, ..Bench::message(name, &firmware::mute("wait")) });
    }
    let created = Cost::of(bench);
    let (mut times, mut waiting) = (Vec::new(), JoinSet::new());
    let _runtime = bench.runtime.enter();
    for name in &names {
        if field("/proc/meminfo", "MemAvailable:") < LEFT_FREE {
            break;
        }
        let begun = Instant::now();
        bench.runtime.block_on(bench.client.launch(name, &Launch::default())).unwrap();
        times.push(begun.elapsed());
        let (client, name) = (bench.client.clone(), name.clone());
        waiting.spawn(async move { client.wait(&name).await });
    }
    // Lets those who wait send their requests.
    bench.runtime.block_on(bench.client.list()).unwrap();
    let running = Cost::of(bench);
    times.sort_unstable();

    println!("\n<!-- crowd-{number} -->");
    println!(
        "| firmware in one micad | clients | descriptors | private dirty kB | resident kB |\n|---|---|---|---|---|"
    );
    for (what, count, cost) in
        [("none", 0, &empty), ("created", names.len(), &created), ("running", times.len(), &running)]
    {
        println!("| {what} | {count} | {} | {} | {} |", cost.descriptors, cost.dirty, cost.resident);
    }
    println!("\n<!-- crowd-start-{number} -->\n| start of one of {} | ms |\n|---|---|", times.len());
    for (which, percent) in [("median", 50), ("p99", 99), ("slowest", 100)] {
        println!("| {which} | {:.0} |", rank(&times, percent));
    }
    println!("\n<!-- crowd-status-{number} -->");
    Asking::head();
    let asking = Asking::start();
    std::thread::sleep(std::time::Duration::from_secs(2));
    asking.print(&format!("{} others run", times.len()));
    waiting.abort_all();
    for name in &names[..times.len()] {
        bench.stop(name);
    }
    for name in &names {
        bench.remove(name);
    }
}

/// What the daemon has.
struct Cost {
    descriptors: usize,
    dirty: u64,
    resident: u64,
}

impl Cost {
    fn of(bench: &Bench) -> Self {
        let proc = format!("/proc/{}", bench.daemon.id());
        let rollup = format!("{proc}/smaps_rollup");
        Self {
            descriptors: fs::read_dir(format!("{proc}/fd")).unwrap().count(),
            dirty: field(&rollup, "Private_Dirty:"),
            resident: field(&rollup, "Rss:"),
        }
    }
}

/// A number of kB in a file of `/proc`.
fn field(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}
