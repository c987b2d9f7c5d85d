//! What firmware costs its host while it has nothing to do.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::firmware;
use micrun_host_tests::system::Process;

use crate::Bench;

/// Until the emulator's threads without work have ended: those stay for 10 s.
const REST: Duration = Duration::from_secs(12);
/// How long it is watched.
const STRETCH: Duration = Duration::from_secs(20);

/// Runs one firmware after the other, and prints what its emulator and the daemon cost.
pub(crate) fn print(bench: &Bench) {
    println!("\n<!-- firmware-idle -->");
    println!("| idle firmware | wake-ups a second | CPU ms a second | private dirty kB |\n|---|---|---|---|");
    for (name, image) in
        [("FreeRTOS without ticks", firmware::demo()), ("waits for an interrupt", firmware::mute("wait"))]
    {
        let (cost, dirty) = measure(bench, &image);
        println!("| {name}: its emulator | {:.2} | {:.3} | {dirty} |", cost[0].0, cost[0].1);
        println!("| {name}: micad | {:.2} | {:.3} | |", cost[1].0, cost[1].1);
    }
}

/// What the emulator and the daemon cost, by wake-ups and milliseconds a second, and the emulator's memory.
fn measure(bench: &Bench, image: &PathBuf) -> ([(f64, f64); 2], u64) {
    let before = emulators();
    bench.create("idle", image);
    bench.start_all(&["idle".to_owned()]);
    let emulator = emulators().into_iter().find(|process| !before.contains(process)).expect("it runs");
    let daemon = Process::all().into_iter().find(|process| process.id().unsigned_abs() == bench.daemon.id());
    let both = [emulator, daemon.expect("it runs")];
    thread::sleep(REST);
    let costs = || both.each_ref().map(|process| (process.wakes(), process.processor_time()));
    let (first, begun) = (costs(), Instant::now());
    thread::sleep(STRETCH);
    let (last, seconds) = (costs(), begun.elapsed().as_secs_f64());
    let rate = |index: usize| {
        let wakes = last[index].0.saturating_sub(first[index].0);
        let time = last[index].1.saturating_sub(first[index].1);
        (f64::from(u32::try_from(wakes).unwrap_or(u32::MAX)) / seconds, time.as_secs_f64() * 1000.0 / seconds)
    };
    let dirty = both[0].memory("Private_Dirty");
    bench.stop("idle");
    bench.remove("idle");
    ([rate(0), rate(1)], dirty)
}

fn emulators() -> Vec<Process> {
    Process::running("qemu-system-aarch64")
}
