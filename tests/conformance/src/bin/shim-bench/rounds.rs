//! The time of each step of a container's life, the ways in turn, so that a slow moment of the machine meets all.

use std::thread;
use std::time::Duration;

use nix::libc::SIGKILL;
use shim_conformance::Stage;
use shim_conformance::container::Container;

use crate::bare;
use crate::samples::Samples;
use crate::way::{Way, fresh_id};

pub(crate) const STEPS: [&str; 9] =
    ["`start`", "Create", "Start", "State", "Pids", "Stats", "Kill to Wait", "Delete", "Shutdown"];
/// Rest before each life. Moving a process into a cgroup waits for a grace period of RCU (3 to 20 ms), unless somebody
/// has just done so: without a rest the lives that follow another at once would look cheaper.
const REST: Duration = Duration::from_millis(100);
/// The four of a life that design.md has a goal for.
const LIFE: [usize; 4] = [1, 2, 6, 7];

pub(crate) type Times = [Samples; STEPS.len()];

/// Measures and prints the table of that name.
pub(crate) fn run(ways: &[Way], stage: &mut Stage, rounds: usize, name: &str) {
    let mut times: Vec<Times> = ways.iter().map(|_| Times::default()).collect();
    let mut crun: [Samples; 4] = Default::default();
    let mut micad: [Samples; 4] = Default::default();
    let (bare_crun, bare_micad) = (bare::Crun::new(), bare::Micad::new());
    for _ in 0..rounds {
        turn(ways, stage, &mut times);
        thread::sleep(REST);
        bare_crun.live(&mut crun);
        thread::sleep(REST);
        bare_micad.live(&mut micad);
    }
    let names: Vec<_> = ways.iter().map(|way| way.name.as_str()).collect();
    println!("<!-- {name} -->");
    println!("| {rounds} rounds, median / p95 ms | {} | crun alone | micad alone |", names.join(" | "));
    println!("|---|---|---|{}", "---|".repeat(ways.len()));
    for (step, name) in STEPS.iter().enumerate() {
        let ways: Vec<_> = times.iter().map(|times| times[step].to_string()).collect();
        let alone = LIFE.iter().position(|life| *life == step);
        let alone = |times: &[Samples; 4]| alone.map_or_else(String::new, |index| times[index].to_string());
        println!("| {name} | {} | {} | {} |", ways.join(" | "), alone(&crun), alone(&micad));
    }
    let lives: Vec<_> =
        times.iter().map(life).chain([&crun, &micad].map(|times| sum(&times.each_ref()))).collect();
    let cells: Vec<_> = lives.iter().map(ToString::to_string).collect();
    println!("| Create, Start, Kill, Delete | {} |", cells.join(" | "));
    let first = lives[0].median();
    let ratios: Vec<_> = lives.iter().map(|life| format!("{:.2}", life.median() / first)).collect();
    println!("| ratio of its medians | {} |", ratios.join(" | "));
}

/// A life of each, in turn.
pub(crate) fn turn(ways: &[Way], stage: &mut Stage, times: &mut [Times]) {
    for (way, times) in ways.iter().zip(times) {
        way.enter(stage);
        thread::sleep(REST);
        live(way, stage, times);
    }
}

/// What the four steps of a life took together.
pub(crate) fn life(times: &Times) -> Samples {
    sum(&LIFE.map(|step| &times[step]))
}

fn sum(steps: &[&Samples; 4]) -> Samples {
    let [create, start, kill, delete] = steps;
    create.plus(start).plus(kill).plus(delete)
}

fn live(way: &Way, stage: &Stage, times: &mut Times) {
    let [launch, create, start, shown, pids, metrics, kill, delete, shutdown] = times;
    let id = &fresh_id();
    let bundle = stage.bundle(id);
    let shim = launch.time(|| way.launch_in(stage, &bundle));
    let container = Container::new(stage, bundle, shim);
    create.time(|| way.create(&container));
    start.time(|| container.start());
    container.assert_answers("up");
    shown.time(|| container.status());
    pids.time(|| container.task.pids(id).expect("Pids"));
    metrics.time(|| container.task.stats(id).expect("Stats"));
    kill.time(|| {
        container.kill(SIGKILL);
        container.wait()
    });
    delete.time(|| container.delete());
    // A shim may be gone before its answer is; containerd takes that for an answer.
    if let Err(error) = shutdown.time(|| container.task.shutdown(id)) {
        eprintln!("{}: {error}", way.name);
    }
}
