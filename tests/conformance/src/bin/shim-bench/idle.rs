//! What an idle container costs: how often a processor is woken for it, and how long it is kept.

use std::thread;

use micrun_host_tests::system::{Cost, Process, REST, STRETCH};
use shim_conformance::Stage;

use crate::way::Way;

/// Measures and prints.
pub(crate) fn run(ways: &[Way], stage: &mut Stage) {
    println!("<!-- idle -->\n| an idle container | wake-ups a second | CPU ms a second |\n|---|---|---|");
    for way in ways {
        way.enter(stage);
        let container = way.run(stage, &[]);
        thread::sleep(REST);
        let watch = |program: String| {
            let processes = Process::running(&program);
            (Cost::of(&processes), processes, program)
        };
        let watched: Vec<_> = way.programs().into_iter().map(watch).collect();
        thread::sleep(STRETCH);
        for (before, processes, program) in watched {
            let (wakes, time) = Cost::of(&processes).rates_since(&before);
            println!("| {}: {program} | {wakes:.2} | {time:.3} |", way.name);
        }
        container.end();
        let _ = container.task.shutdown(container.id());
    }
}
