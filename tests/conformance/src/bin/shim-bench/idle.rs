//! What an idle container costs: how often a processor is woken for it, and how long it is kept.

use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::system::Process;
use shim_conformance::Stage;

use crate::way::Way;

/// Until all threads without work have ended: those of a daemon and of an emulator stay for 10 s.
const REST: Duration = Duration::from_secs(12);
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
            let wakes = u32::try_from(now.wakes - before.wakes).expect("it is a small number");
            let time = (now.time - before.time).as_secs_f64() * 1000.0;
            println!(
                "| {}: {program} | {:.2} | {:.3} |",
                way.name,
                f64::from(wakes) / seconds,
                time / seconds
            );
        }
        container.end();
        let _ = container.task.shutdown(container.id());
    }
}

/// What the processes of a program have cost so far.
struct Cost {
    wakes: u64,
    time: Duration,
}

impl Cost {
    fn of(program: &str) -> Self {
        let processes = Process::running(program);
        Self {
            wakes: processes.iter().map(Process::wakes).sum(),
            time: processes.iter().map(Process::processor_time).sum(),
        }
    }
}
