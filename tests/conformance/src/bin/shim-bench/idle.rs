//! What an idle container costs: how often a processor is woken for it, and how long it is kept.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::system::Process;
use shim_conformance::Stage;

use crate::memory::REST;
use crate::way::Way;

/// How long the container is watched.
const STRETCH: Duration = Duration::from_secs(20);

/// Measures and prints.
pub(crate) fn run(ways: &[Way], stage: &mut Stage) {
    println!("<!-- idle -->\n| an idle container | wake-ups a second | CPU ms a second |\n|---|---|---|");
    for way in ways {
        way.enter(stage);
        let container = way.run(stage, &[]);
        thread::sleep(REST);
        let before: Vec<_> = way.programs().iter().map(|program| Cost::of(program)).collect();
        let begun = Instant::now();
        thread::sleep(STRETCH);
        let seconds = begun.elapsed().as_secs_f64();
        for (program, before) in way.programs().iter().zip(before) {
            let now = Cost::of(program);
            let [wakes, nanoseconds] =
                [now.wakes - before.wakes, now.nanoseconds - before.nanoseconds].map(rate(seconds));
            println!("| {}: {program} | {wakes:.2} | {:.3} |", way.name, nanoseconds / 1e6);
        }
        container.end();
        let _ = container.task.shutdown(container.id());
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of some seconds")]
fn rate(seconds: f64) -> impl Fn(u64) -> f64 {
    move |count| count as f64 / seconds
}

/// What the threads of a program's processes have cost so far.
struct Cost {
    /// How often they have given up a processor to wait: as often they were woken.
    wakes: u64,
    /// How long they have had one.
    nanoseconds: u64,
}

impl Cost {
    fn of(program: &str) -> Self {
        let processes = Process::running(program);
        let threads = processes.iter().flat_map(|process| {
            let folder = fs::read_dir(format!("/proc/{}/task", process.id())).expect("the process runs");
            folder.flatten().map(|thread| thread.path())
        });
        let mut cost = Self { wakes: 0, nanoseconds: 0 };
        for (wakes, nanoseconds) in threads.filter_map(|thread| usage(&thread)) {
            cost.wakes += wakes;
            cost.nanoseconds += nanoseconds;
        }
        cost
    }
}

/// Of a thread, as proc(5) has it; `None` when it has ended meanwhile.
fn usage(thread: &PathBuf) -> Option<(u64, u64)> {
    let status = fs::read_to_string(thread.join("status")).ok()?;
    let wakes = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    let schedule = fs::read_to_string(thread.join("schedstat")).ok()?;
    Some((wakes.trim().parse().ok()?, schedule.split_whitespace().next()?.parse().ok()?))
}
