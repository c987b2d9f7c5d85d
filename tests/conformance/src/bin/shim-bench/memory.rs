//! What idle containers take: one, and many at once.

use std::thread;
use std::time::Duration;

use micrun_host_tests::system::Process;
use micrun_host_tests::wait;
use shim_conformance::Stage;
use shim_conformance::stage::GROUP;

use crate::way::Way;

const FIELDS: [&str; 3] = ["Rss", "Pss", "Private_Dirty"];
/// The place of the last in them.
const DIRTY: usize = 2;

/// Until a shim is idle: its threads for work that can wait end a second after the last.
pub(crate) const REST: Duration = Duration::from_secs(2);

/// Measures and prints.
pub(crate) fn run(ways: &[Way], stage: &mut Stage, containers: usize) {
    // What was built a moment ago counts as private until it is on disk.
    nix::unistd::sync();
    println!("<!-- memory -->\n| idle | RSS kB | PSS kB | private dirty kB |\n|---|---|---|---|");
    let mut slopes = Vec::new();
    for way in ways {
        way.enter(stage);
        let pod = [(GROUP, "pod")];
        let one = crowd(way, stage, 1, &[]);
        rows(&format!("{}, one", way.name), &one);
        rows(&format!("{}, each of {containers}", way.name), &crowd(way, stage, containers, &[]));
        let many = crowd(way, stage, containers, &pod);
        rows(&format!("{}, one for {containers} containers", way.name), &many);
        let further = u64::try_from(containers - 1).expect("it is a small number").max(1);
        let [one, many] = [one, many].map(|usages| mean(&usages[0].1)[DIRTY]);
        slopes.push((&way.name, many.saturating_sub(one) / further));
    }
    println!(
        "\n<!-- slope -->\n| each further container of a pod | private dirty kB of the shim |\n|---|---|"
    );
    for (name, slope) in slopes {
        println!("| {name} | {slope} |");
    }
}

/// What a process takes: RSS, PSS, and what is private and dirty, in kB.
pub(crate) type Taken = [u64; FIELDS.len()];
/// A program, and what each process of it takes.
pub(crate) type Usage = (String, Vec<Taken>);

/// What the shims of some running containers take, and what runs their firmware.
pub(crate) fn crowd(way: &Way, stage: &Stage, count: usize, annotations: &[(&str, &str)]) -> Vec<Usage> {
    let containers: Vec<_> = (0..count).map(|_| way.run(stage, annotations)).collect();
    thread::sleep(REST);
    let usage = |program: String| {
        let processes = Process::running(&program);
        let taken = processes.iter().map(|process| FIELDS.map(|field| process.memory(field))).collect();
        (program, taken)
    };
    let usages = way.programs().into_iter().map(usage).collect();
    for container in containers {
        container.end();
        let _ = container.task.shutdown(container.id());
    }
    let shim = way.shim();
    wait::until("the shims have ended", || Process::running(&shim).is_empty().then_some(()));
    usages
}

/// Prints the means.
fn rows(name: &str, usages: &[Usage]) {
    for (program, processes) in usages {
        let [rss, pss, dirty] = mean(processes);
        println!("| {name}: {program} | {rss} | {pss} | {dirty} |");
    }
}

pub(crate) fn mean(processes: &[Taken]) -> Taken {
    let count = u64::try_from(processes.len()).expect("processes can be counted").max(1);
    [0, 1, 2].map(|field| processes.iter().map(|process| process[field]).sum::<u64>() / count)
}
