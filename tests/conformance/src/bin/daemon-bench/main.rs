//! `make bench`: how long a client of the mica daemon waits for `status` while others start. Prints Markdown.
//!
//! `daemon-bench --micad PROGRAM` measures another daemon, an older one for example.
#![allow(clippy::print_stdout, reason = "the tables are the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

mod bare;
mod crowd;
mod flood;
mod idle;
mod pool;

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use clap::Parser;
use libmica::{Client, CreateMessage, Launch};
use micrun_host_tests::{firmware, isolation, wait};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

/// Size of a large firmware in bytes.
const LARGE: u64 = 250 << 20;
/// Between two questions, whether the first of them is answered or not: one long wait must not hide those that would
/// have come after it.
const INTERVAL: Duration = Duration::from_millis(5);
/// The client that is asked about.
const ASKED: &str = "asked";

/// Asks the mica daemon about one client while others start.
#[derive(Parser)]
struct Args {
    /// Clients that start at once.
    #[arg(default_value_t = 20)]
    starts: usize,
    /// Starts of the large firmware.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Firmware that runs at once in the end, if there is memory for it: 20 MB for each.
    #[arg(long = "crowd", default_values_t = [200, 1000])]
    crowds: Vec<usize>,
    /// The daemon to measure; that of this build if not given.
    #[arg(long)]
    micad: Option<PathBuf>,
}

fn main() {
    let args = Args::parse();
    // Whoever waits for a client has a connection open.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
    let program = args.micad.unwrap_or_else(|| isolation::binary("micad"));
    let bench = Bench::start(&program, &[]);
    println!("<!-- status -->");
    Asking::head();

    let asking = Asking::start();
    std::thread::sleep(Duration::from_secs(2));
    asking.print("nothing happens");

    let names: Vec<String> = (0..args.starts).map(|number| format!("start{number}")).collect();
    for name in &names {
        bench.create(name, &firmware::demo());
    }
    let asking = Asking::start();
    let answers = bench.start_all(&names);
    asking.print(&format!("{} clients start at once", args.starts));
    for name in &names {
        bench.remove(name);
    }

    let large = isolation::state_dir().join("large.elf");
    fs::copy(firmware::demo(), &large).unwrap();
    // Zeros would not be copied.
    let mut file = File::options().append(true).open(&large).unwrap();
    let mib = vec![0xa5; 1 << 20];
    (0..LARGE >> 20).for_each(|_| file.write_all(&mib).unwrap());
    bench.create("large", &large);
    let asking = Asking::start();
    for _ in 0..args.rounds {
        bench.start_all(&["large".to_owned()]);
        bench.stop("large");
    }
    asking.print(&format!("a firmware of {} MiB starts, {} times", LARGE >> 20, args.rounds));

    println!("\n<!-- starts -->\n| {} clients that start at once | ms |\n|---|---|", args.starts);
    for (which, percent) in [("first", 0), ("median", 50), ("last", 100)] {
        println!("| the {which} has started after | {:.0} |", rank(&answers, percent));
    }
    bench.remove("large");
    fs::remove_file(&large).unwrap();
    idle::print(&bench);
    flood::print(&bench);
    for number in args.crowds {
        crowd::print(&bench, number);
    }
    let ordinary = pool::Ordinary::measure(&bench);
    // The next daemon would take it over.
    bench.stop(ASKED);
    bench.remove(ASKED);
    drop(bench);
    if pool::is_known_to(&program) {
        pool::print(&program, &ordinary);
    }
}

/// A daemon with one client that runs.
struct Bench {
    daemon: Child,
    client: Client,
    runtime: Runtime,
}

impl Bench {
    fn start(program: &Path, options: &[&str]) -> Self {
        isolation::require();
        fs::create_dir_all(isolation::state_dir()).unwrap();
        let log = File::create(isolation::state_dir().join("micad.log")).unwrap();
        let daemon = Command::new(program)
            .args(options)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("micad can be run");
        let runtime = runtime();
        let client = Client::new(libmica::names::RUNTIME_DIR);
        wait::until("micad answers", || runtime.block_on(client.list()).ok().map(drop));
        let bench = Self { daemon, client, runtime };
        bench.create(ASKED, &firmware::demo());
        bench.start_all(&[ASKED.to_owned()]);
        bench
    }

    fn create(&self, name: &str, firmware: &Path) {
        self.create_as(&Self::message(name, firmware));
    }

    fn create_as(&self, message: &CreateMessage) {
        self.runtime.block_on(self.client.create(message)).unwrap();
    }

    fn message(name: &str, firmware: &Path) -> CreateMessage {
        CreateMessage {
            name: name.into(),
            path: firmware.into(),
            pedestal: "qemu".into(),
            memory: 64,
            ..CreateMessage::default()
        }
    }

    /// Starts these clients at once; gives the times after which they have answered, in order.
    fn start_all(&self, names: &[String]) -> Vec<Duration> {
        let launches: Vec<_> = names.iter().map(|name| (name.clone(), launch(name))).collect();
        let begun = Instant::now();
        let mut starts = JoinSet::new();
        let _runtime = self.runtime.enter();
        for (name, launch) in launches {
            let client = self.client.clone();
            starts.spawn(async move {
                client.launch(&name, &launch).await.unwrap();
                begun.elapsed()
            });
        }
        let mut answers = self.runtime.block_on(starts.join_all());
        answers.sort_unstable();
        answers
    }

    fn stop(&self, name: &str) {
        self.runtime.block_on(self.client.stop(name)).unwrap();
    }

    fn remove(&self, name: &str) {
        self.runtime.block_on(self.client.remove(name)).unwrap();
    }
}

/// What runs dies with the bench's namespaces.
impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// With cgroups to join, as a shim has them.
fn launch(name: &str) -> Launch {
    let root = Path::new("/sys/fs/cgroup");
    let controllers: &[&str] = if root.join("memory").is_dir() { &["cpu", "memory", "pids"] } else { &["."] };
    let group = Path::new(&isolation::containerd_namespace()).join(name);
    let join = |controller: &&str| -> OwnedFd {
        let folder = root.join(controller).join(&group);
        fs::create_dir_all(&folder).expect("the cgroup can be made");
        File::options().write(true).open(folder.join("cgroup.procs")).unwrap().into()
    };
    Launch { cgroups: controllers.iter().map(join).collect(), ..Launch::default() }
}

/// Somebody who asks about one client again and again.
struct Asking {
    enough: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Asking {
    fn start() -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&enough);
        let thread = std::thread::spawn(move || {
            let (runtime, client) = (runtime(), Client::new(libmica::names::RUNTIME_DIR));
            let (mut times, mut due) = (Vec::new(), Instant::now());
            while !seen.load(Ordering::Relaxed) {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                runtime.block_on(client.status(ASKED)).unwrap();
                times.push(due.elapsed());
                due += INTERVAL;
            }
            times
        });
        Self { enough, thread }
    }

    /// Prints the head of a table.
    fn head() {
        println!("| `status` of one client while | questions | p50 ms | p99 | max |\n|---|---|---|---|---|");
    }

    /// Stops asking and prints a row.
    fn print(self, meanwhile: &str) {
        self.enough.store(true, Ordering::Relaxed);
        let mut times = self.thread.join().unwrap();
        times.sort_unstable();
        let [p50, p99, max] = [50, 99, 100].map(|percent| rank(&times, percent));
        println!("| {meanwhile} | {} | {p50:.1} | {p99:.1} | {max:.1} |", times.len());
    }
}

/// That percentile of sorted times, in milliseconds.
fn rank(sorted: &[Duration], percent: usize) -> f64 {
    let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
    sorted[index].as_secs_f64() * 1000.0
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}
