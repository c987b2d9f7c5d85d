//! Starts that find a machine which has waited for them, beside those that do not.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libmica::{Client, Launch};
use micrun_host_tests::{firmware, isolation, wait};
use nix::libc::O_NOCTTY;
use tokio::task::JoinSet;

use crate::{Bench, bare, launch, rank};

/// Machines that wait, and starts at once.
const MACHINES: usize = 20;
/// Starts one after the other.
const ROUNDS: usize = 40;

/// Starts for which no machine has waited, in turns.
pub(crate) struct Ordinary {
    /// By hand.
    bare: Vec<Duration>,
    /// By the daemon, in its own cgroup: joining one waits for a grace period of RCU, whoever joins.
    alone: Vec<Duration>,
    /// By the daemon, in a cgroup as a shim makes it.
    starts: Vec<Duration>,
}

impl Ordinary {
    pub(crate) fn measure(bench: &Bench) -> Self {
        let (mut bare, mut alone) = (Vec::new(), Vec::new());
        let others = || {
            bare.push(bare::first_byte());
            alone.push(single(bench, Launch::default()));
        };
        let starts = one_by_one(bench, others);
        bare.sort_unstable();
        alone.sort_unstable();
        Self { bare, alone, starts }
    }
}

/// Whether a daemon can have machines that wait.
pub(crate) fn is_known_to(program: &Path) -> bool {
    let help = Command::new(program).arg("--help").output().unwrap().stdout;
    String::from_utf8_lossy(&help).contains("--waiting-machines")
}

/// Runs a daemon whose machines wait, and prints the times from a start to the first byte; `ordinary` are those without.
pub(crate) fn print(program: &Path, ordinary: &Ordinary) {
    let config = isolation::state_dir().join("micad.conf");
    // Whether this machine is short of memory is looked up below SysfsRoot: the bench wants what it asks for.
    let text = format!("[Micad]\nWaitingMachines = {MACHINES}\nWaitingMemory = 2048\nSysfsRoot = /nowhere\n");
    fs::write(&config, text).unwrap();
    let bench = Bench::start(program, &["--config", config.to_str().unwrap()]);
    let names: Vec<String> = (0..MACHINES).map(|number| format!("pool{number}")).collect();
    create(&bench, &names);
    let misses = at_once(&bench, &names);
    // The last hour's starts say how many are to wait.
    until_ready(&bench, MACHINES);
    create(&bench, &names);
    let hits = at_once(&bench, &names);
    let hit = one_by_one(&bench, || until_ready(&bench, 1));
    println!(
        "\n<!-- pool -->\n| start to the first byte | median ms | p95 | max | ratio |\n|---|---|---|---|---|"
    );
    let least = rank(&ordinary.bare, 50);
    for (name, times) in [
        ("QEMU alone, started by hand".to_owned(), &ordinary.bare),
        ("an ordinary start".to_owned(), &ordinary.alone),
        ("the same in a cgroup of its own".to_owned(), &ordinary.starts),
        ("a machine has waited".to_owned(), &hit),
        (format!("{MACHINES} ordinary starts at once"), &misses),
        (format!("{MACHINES} at once, {MACHINES} machines have waited"), &hits),
    ] {
        let [median, p95, max] = [50, 95, 100].map(|percent| rank(times, percent));
        println!("| {name} | {median:.1} | {p95:.1} | {max:.1} | {:.2} |", median / least);
    }
    let report =
        bench.runtime.block_on(bench.client.version()).unwrap().pools.and_then(|pools| pools.machines);
    let report = report.expect("the daemon has a pool");
    println!("| machines found, not found | {} | {} | | |", report.hits, report.misses);
}

fn until_ready(bench: &Bench, count: usize) {
    wait::until("the machines wait", || {
        let version = bench.runtime.block_on(bench.client.version()).unwrap();
        version.pools?.machines.filter(|machines| machines.ready >= count).map(drop)
    });
}

fn create(bench: &Bench, names: &[String]) {
    for name in names {
        bench.create(name, &firmware::demo());
    }
}

/// Times of starts one after the other, in order; before each, `ready` is called.
pub(crate) fn one_by_one(bench: &Bench, mut ready: impl FnMut()) -> Vec<Duration> {
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            ready();
            single(bench, launch("single"))
        })
        .collect();
    times.sort_unstable();
    times
}

fn single(bench: &Bench, launch: Launch) -> Duration {
    bench.create("single", &firmware::demo());
    let time = bench.runtime.block_on(first_byte(bench.client.clone(), "single".into(), launch));
    bench.stop("single");
    bench.remove("single");
    time
}

/// The same of starts at once; the clients are gone afterwards.
fn at_once(bench: &Bench, names: &[String]) -> Vec<Duration> {
    let _runtime = bench.runtime.enter();
    let mut starts = JoinSet::new();
    for name in names {
        starts.spawn(first_byte(bench.client.clone(), name.clone(), launch(name)));
    }
    let mut times = bench.runtime.block_on(starts.join_all());
    times.sort_unstable();
    for name in names {
        bench.stop(name);
        bench.remove(name);
    }
    times
}

async fn first_byte(client: Client, name: String, launch: Launch) -> Duration {
    let begun = Instant::now();
    client.launch(&name, &launch).await.unwrap();
    let console = format!("{}/ttyRPMSG_{name}_0", libmica::names::RUNTIME_DIR);
    let read = move || {
        let mut console = OpenOptions::new().read(true).custom_flags(O_NOCTTY).open(console).unwrap();
        console.read_exact(&mut [0]).unwrap();
        begun.elapsed()
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}
