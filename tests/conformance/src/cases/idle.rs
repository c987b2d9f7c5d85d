//! What an idle container costs its host: nothing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use micrun_host_tests::system::Process;
use micrun_host_tests::wait;

use crate::Case;
use crate::Stage;
use crate::case::mica;
use crate::stage::GROUP;
use crate::subject::Program;
use crate::subjects::{MICA, RUNC};

pub(super) const CASES: &[Case] = &[
    mica!(micrun_an_idle_container_wakes_no_processor, "Go's runtime wakes its threads now and then"),
    Case {
        name: "micrun_idle_streams_have_no_buffers",
        skip: NOT_LINUX,
        run: micrun_idle_streams_have_no_buffers,
    },
];

const NOT_LINUX: &[(&str, &str)] =
    &[(RUNC, "each of its streams has one"), (MICA, "it has one console, and more than streams beside it")];

/// Seconds of idleness: longer than any timer of a shim or a daemon.
const STRETCH: usize = 6;

/// A shim with a timer of 5 s was woken 0.6 times a second, a device that sleeps on its battery as often. Under firmware
/// without ticks nothing runs either, from the shim to the emulator.
fn micrun_an_idle_container_wakes_no_processor(stage: &mut Stage) {
    let container = stage.run("one");
    container.assert_answers("up");
    let ours = || [Process::running("containerd-shim-mica-v2"), Process::running("micad")].concat();
    wait::until("their threads for work that can wait have ended", || {
        ours().iter().all(|process| process.threads() == 1).then_some(())
    });
    let wakes = |processes: &[Process]| processes.iter().map(Process::wakes).collect::<Vec<_>>();
    // What the answer to the typed line has woken may be on its way to sleep.
    let before = wait::until("all sleep", || {
        let first = wakes(&ours());
        sleep(1);
        (wakes(&ours()) == first).then_some(first)
    });
    let emulators = Process::running("qemu-system-aarch64");
    let ticks = wakes(&emulators);
    sleep(STRETCH);
    assert_eq!(wakes(&ours()), before, "of {:?}", ours());
    for (now, before) in wakes(&emulators).iter().zip(&ticks) {
        // Now and then it looks after its own threads. The demo's tick would have woken it 100 times a second.
        let woken = now.saturating_sub(*before);
        assert!(woken < 10, "the emulator was woken {woken} times");
    }
    container.assert_answers("still up");
    assert!(wakes(&ours())[0] > before[0], "else this proves nothing");
}

/// Each further container of a pod cost 136 kB, most of it in buffers for output that did not come.
fn micrun_idle_streams_have_no_buffers(stage: &mut Stage) {
    const CONTAINERS: u64 = 20;
    const EACH: u64 = 64;
    let pod = [(GROUP, "pod")];
    let run = |number| {
        let container = stage.create_of(&format!("c{number}"), Program::Shell, &pod);
        container.start();
        container.assert_answers("up");
        container
    };
    let first = run(0);
    let shim = first.shim.pid().as_raw();
    let dirty = || {
        wait::until("the shim is at rest", || {
            let shim = Process::all().into_iter().find(|process| process.id() == shim)?;
            (shim.threads() == 1).then(|| shim.memory("Private_Dirty"))
        })
    };
    let one = dirty();
    let others: Vec<_> = (1..=CONTAINERS).map(run).collect();
    let each = (dirty() - one) / CONTAINERS;
    assert!(each <= EACH, "{each} kB for each of {} further containers", others.len());
}

/// Lets that many lines of another process's clock go by.
fn sleep(seconds: usize) {
    let mut clock = Command::new("sh");
    let mut clock =
        clock.args(["-c", "while sleep 1; do echo; done"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(clock.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(seconds).count(), seconds);
    clock.kill().unwrap();
    clock.wait().unwrap();
}
