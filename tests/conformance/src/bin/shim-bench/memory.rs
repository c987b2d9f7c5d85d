//! What idle containers take: one, and many at once.

use std::time::Duration;
use std::{iter, thread};

use micrun_host_tests::system::Process;
use micrun_host_tests::wait;
use shim_conformance::Stage;
use shim_conformance::stage::GROUP;

use crate::way::{WAYS, Way, launch};

const FIELDS: [&str; 3] = ["Rss", "Pss", "Private_Dirty"];

/// Until a shim is idle: its threads for work that can wait end a second after the last.
const REST: Duration = Duration::from_secs(2);

/// Measures and prints.
pub(crate) fn run(stage: &mut Stage, containers: usize) {
    // What was built a moment ago counts as private until it is on disk.
    nix::unistd::sync();
    println!("| idle | RSS kB | PSS kB | private dirty kB |\n|---|---|---|---|");
    for way in &WAYS {
        way.enter(stage);
        let pod = [(GROUP, "pod")];
        rows(&format!("{}, one", way.name), &crowd(way, stage, 1, &[]));
        rows(&format!("{}, each of {containers}", way.name), &crowd(way, stage, containers, &[]));
        rows(&format!("{}, one for {containers} containers", way.name), &crowd(way, stage, containers, &pod));
    }
}

/// A program, and what each process of it takes.
type Usage = (&'static str, Vec<[u64; FIELDS.len()]>);

/// What the shims of some running containers take, and what runs their firmware.
fn crowd(way: &Way, stage: &Stage, count: usize, annotations: &[(&str, &str)]) -> Vec<Usage> {
    let run = |_| {
        let container = launch(stage, annotations);
        way.create(&container);
        container.start();
        container.assert_answers("up");
        container
    };
    let containers: Vec<_> = (0..count).map(run).collect();
    thread::sleep(REST);
    let usage = |program| {
        let processes = Process::running(program);
        (program, processes.iter().map(|process| FIELDS.map(|field| process.memory(field))).collect())
    };
    let usages = iter::once(way.shim).chain(way.helpers.iter().copied()).map(usage).collect();
    for container in containers {
        container.end();
        let _ = container.task.shutdown(container.id());
    }
    wait::until("the shims have ended", || Process::running(way.shim).is_empty().then_some(()));
    usages
}

/// Prints the means.
fn rows(name: &str, usages: &[Usage]) {
    for (program, processes) in usages {
        let count = u64::try_from(processes.len()).expect("processes can be counted");
        let [rss, pss, dirty] =
            [0, 1, 2].map(|field| processes.iter().map(|process| process[field]).sum::<u64>() / count);
        println!("| {name}: {program} | {rss} | {pss} | {dirty} |");
    }
}
