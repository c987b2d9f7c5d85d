//! What idle shims take: one, and many at once.

use micrun_host_tests::system::Process;
use shim_conformance::Stage;
use shim_conformance::stage::GROUP;

use crate::way::{WAYS, Way, launch};

const FIELDS: [&str; 3] = ["Rss", "Pss", "Private_Dirty"];

/// Measures and prints.
pub(crate) fn run(stage: &mut Stage, containers: usize) {
    // What was built a moment ago counts as private until it is on disk.
    nix::unistd::sync();
    println!("| idle shim | RSS kB | PSS kB | private dirty kB |\n|---|---|---|---|");
    for way in &WAYS {
        way.enter(stage);
        let pod = [(GROUP, "pod")];
        row(&format!("{}, one", way.name), &crowd(way, stage, 1, &[]));
        row(&format!("{}, each of {containers}", way.name), &crowd(way, stage, containers, &[]));
        row(&format!("{}, one for {containers} containers", way.name), &crowd(way, stage, containers, &pod));
    }
}

/// What each shim of some running containers takes.
fn crowd(way: &Way, stage: &Stage, count: usize, annotations: &[(&str, &str)]) -> Vec<[u64; FIELDS.len()]> {
    let run = |_| {
        let container = launch(stage, annotations);
        way.create(&container);
        container.start();
        container.assert_answers("up");
        container
    };
    let containers: Vec<_> = (0..count).map(run).collect();
    let shims = Process::running(way.shim);
    let usage = shims.iter().map(|shim| FIELDS.map(|field| shim.memory(field))).collect();
    for container in containers {
        container.end();
        let _ = container.task.shutdown(container.id());
    }
    micrun_host_tests::wait::until("the shims have ended", || {
        Process::running(way.shim).is_empty().then_some(())
    });
    usage
}

/// Prints the mean.
fn row(name: &str, shims: &[[u64; FIELDS.len()]]) {
    let count = u64::try_from(shims.len()).expect("shims can be counted");
    let [rss, pss, dirty] = [0, 1, 2].map(|field| shims.iter().map(|shim| shim[field]).sum::<u64>() / count);
    println!("| {name} | {rss} | {pss} | {dirty} |");
}
