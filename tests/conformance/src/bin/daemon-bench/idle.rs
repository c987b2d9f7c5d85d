//! What firmware costs its host while it has nothing to do.

use std::path::Path;
use std::thread;

use micrun_host_tests::firmware;
use micrun_host_tests::system::{Cost, Process, REST, STRETCH};

use crate::Bench;

/// Runs one firmware after the other, and prints what its emulator and the daemon cost.
pub(crate) fn print(bench: &Bench) {
    println!("\n<!-- firmware-idle -->");
    println!("| idle firmware | wake-ups a second | CPU ms a second | private dirty kB |\n|---|---|---|---|");
    for (name, image) in
        [("FreeRTOS without ticks", firmware::demo()), ("waits for an interrupt", firmware::mute("wait"))]
    {
        let [emulator, daemon] = ["its emulator", "micad"].map(|program| format!("{name}: {program}"));
        let Idle { rates, dirty } = Idle::measure(bench, &image);
        println!("| {emulator} | {:.2} | {:.3} | {dirty} |", rates[0].0, rates[0].1);
        println!("| {daemon} | {:.2} | {:.3} | |", rates[1].0, rates[1].1);
    }
}

/// What an idle firmware costs.
struct Idle {
    /// Wake-ups and milliseconds a second, of its emulator and of the daemon.
    rates: [(f64, f64); 2],
    /// Private dirty memory of its emulator in kB.
    dirty: u64,
}

impl Idle {
    fn measure(bench: &Bench, image: &Path) -> Self {
        let others = emulators();
        bench.create("idle", image);
        bench.start_all(&["idle".to_owned()]);
        let emulator = emulators().into_iter().filter(|process| !others.contains(process)).collect();
        let daemon =
            Process::all().into_iter().filter(|process| process.id().unsigned_abs() == bench.daemon.id());
        let both: [Vec<Process>; 2] = [emulator, daemon.collect()];
        thread::sleep(REST);
        let before = both.each_ref().map(|processes| Cost::of(processes));
        thread::sleep(STRETCH);
        let rates = [0, 1].map(|which| Cost::of(&both[which]).rates_since(&before[which]));
        let dirty = both[0].iter().map(|process| process.memory("Private_Dirty")).sum();
        bench.stop("idle");
        bench.remove("idle");
        Self { rates, dirty }
    }
}

fn emulators() -> Vec<Process> {
    Process::running("qemu-system-aarch64")
}
