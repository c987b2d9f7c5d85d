//! `make bench`: how long until the first byte of a container is there, ours beside ordinary ones in the same run,
//! and how much memory an idle shim takes. Prints Markdown.
#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

use std::fs;
use std::time::{Duration, Instant};

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, isolation};

const ORDINARY: &str = "localhost/busybox:1";

/// The ways of running a container that are compared: a name, and the words after `ctr run --rm`.
const WAYS: [(&str, &[&str]); 4] = [
    ("crun, `echo`", &["--runc-binary", "/usr/bin/crun", ORDINARY]),
    ("runc, `echo`", &["--runc-binary", "/usr/sbin/runc", ORDINARY]),
    ("mica with crun, `echo`", &["--runtime", MICA, ORDINARY]),
    ("mica, FreeRTOS demo", &["--runtime", MICA, DEMO]),
];

fn main() {
    let rounds =
        std::env::args().nth(1).map_or(20, |rounds| rounds.parse().expect("usage: host-bench [ROUNDS]"));
    let host = Host::start();
    host.import_image(Image::busybox(ORDINARY, &["/bin/busybox", "echo", "hello"]));

    // In turn, so that a slow moment of the machine meets all of them.
    let mut times: [Vec<Duration>; WAYS.len()] = Default::default();
    for _ in 0..rounds {
        for ((_, words), times) in WAYS.iter().zip(&mut times) {
            times.push(first_byte(&host, words));
        }
    }

    println!("| `ctr run` to the first byte, {rounds} rounds | median ms | min | max |\n|---|---|---|---|");
    for ((name, _), times) in WAYS.iter().zip(&mut times) {
        times.sort_unstable();
        let [median, min, max] = [times[times.len() / 2], times[0], times[times.len() - 1]].map(milliseconds);
        println!("| {name} | {median:.1} | {min:.1} | {max:.1} |");
    }
    println!("\n| idle | RSS kB | private dirty kB |\n|---|---|---|");
    println!("| with an ordinary container: | | |");
    let sleep = ["/bin/busybox", "sleep", "1000"];
    for (id, runtime, shim) in [
        ("ours", MICA, "containerd-shim-mica-v2"),
        ("theirs", "io.containerd.runc.v2", "containerd-shim-runc-v2"),
    ] {
        ctr(&[&["run", "--detach", "--runtime", runtime, ORDINARY, id], &sleep[..]].concat()).success();
        memory(shim);
        host.kill(id, "SIGKILL");
        host.await_task_state(id, "STOPPED");
        host.delete_task(id);
        host.delete_container(id);
    }
    host.assert_clean();
    println!("| with a firmware: | | |");
    ctr(&["run", "--detach", "--runtime", MICA, DEMO, "idle"]).success();
    memory("containerd-shim-mica-v2");
    memory("micad");
    memory("qemu-system-aarch64");

    println!("\n| program | bytes |\n|---|---|");
    let mut programs =
        ["containerd-shim-mica-v2", "micad", "mica", "micrun-image-builder"].map(isolation::binary).to_vec();
    programs.push("/usr/bin/containerd-shim-runc-v2".into());
    for program in programs {
        let size = fs::metadata(&program).expect("a program has a size").len();
        println!("| {} | {size} |", program.file_name().unwrap_or_default().to_string_lossy());
    }
}

/// Runs a container until its first byte is there, then ends it.
fn first_byte(host: &Host, words: &[&str]) -> Duration {
    let start = Instant::now();
    let mut console = ctr_piped(&[&["run", "--rm"], words, &["one"]].concat());
    if words.contains(&DEMO) {
        console.expect(PROMPT);
        console.send("exit 0\r");
    }
    assert_eq!(console.wait(), 0, "{}", console.error_text());
    host.assert_clean();
    console.first_byte().expect("it printed something").duration_since(start)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Prints the memory of the one process that runs a program.
fn memory(program: &str) {
    let processes = Process::running(program);
    let [process] = processes.as_slice() else { panic!("not one process runs {program}: {processes:?}") };
    println!("| {program} | {} | {} |", process.memory("Rss"), process.memory("Private_Dirty"));
}
