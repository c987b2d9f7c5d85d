//! How long a pod's console and its rpcs wait while a large firmware is created in the same pod.

use std::fs::File;
use std::thread;
use std::time::Duration;

use shim_conformance::Stage;
use shim_conformance::container::Container;
use shim_conformance::stage::GROUP;

use crate::samples::Samples;
use crate::way::Way;

/// Size of the firmware in bytes: close to the most that is accepted.
const SIZE: u64 = 250 << 20;
/// Probes of a pod in which nothing else happens.
const QUIET: usize = 200;
/// How long the creation may take.
const LIMIT: Duration = Duration::from_secs(120);
/// Pause between two looks at what the console has printed.
const LOOK: Duration = Duration::from_micros(100);

/// Times of what a user of the pod waits for.
#[derive(Default)]
struct Waits {
    echo: Samples,
    state: Samples,
}

/// Measures and prints.
pub(crate) fn run(way: &Way, stage: &mut Stage) {
    way.enter(stage);
    let pod = [(GROUP, "stall")];
    let talker = way.run(stage, &pod);
    let large = way.launch(stage, &pod);
    let firmware = large.bundle.path.join("rootfs/firmware.elf");
    let file = File::options().append(true).open(firmware).expect("the firmware can be enlarged");
    file.set_len(SIZE).expect("the firmware can be enlarged");

    let mut quiet = Waits::default();
    for _ in 0..QUIET {
        quiet.probe(&talker);
    }
    let mut meanwhile = Waits::default();
    let (request, task) = (large.request(), large.shim.connect().within(LIMIT));
    let create = thread::spawn(move || task.create(&request));
    while !create.is_finished() {
        meanwhile.probe(&talker);
    }
    create.join().expect("no panic").unwrap_or_else(|error| panic!("Create of a large firmware: {error}"));

    println!("<!-- stall -->");
    println!("| {}: median / longest ms | quiet | while a firmware of 250 MiB is created |", way.name);
    println!("|---|---|---|");
    let rows =
        [("echo of the console", &quiet.echo, &meanwhile.echo), ("State", &quiet.state, &meanwhile.state)];
    for (name, quiet, meanwhile) in rows {
        println!("| {name} | {} | {} |", quiet.with_longest(), meanwhile.with_longest());
    }
    large.delete();
    talker.end();
    let _ = talker.task.shutdown(talker.id());
}

impl Waits {
    fn probe(&mut self, container: &Container<'_>) {
        let stdout = container.stdout();
        let before = stdout.text().len();
        self.echo.time(|| {
            container.say("");
            while stdout.text().len() == before {
                thread::sleep(LOOK);
            }
        });
        self.state.time(|| container.status());
    }
}
