//! `make bench`: how long until the first byte of a container is there, ours beside ordinary ones in the same run. Prints
//! Markdown, with the name of each table before it.
//!
//! `host-bench TABLE RUNTIME [ROUNDS] [NAME=SHIM]...`: RUNTIME is the OCI runtime of all. SHIM is the path of somebody else's
//! shim, whose OCI runtime is the `runc` on `PATH`.
#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

use std::time::{Duration, Instant};

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::{Host, wait};

const ORDINARY: &str = "localhost/busybox:1";

fn main() {
    let mut args = std::env::args().skip(1);
    let table = args.next().expect("TABLE comes first");
    let runtime = args.next().expect("RUNTIME comes second");
    let args: Vec<String> = args.collect();
    let (peers, numbers): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.contains('='));
    let rounds = numbers.first().map_or(20, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let peers: Vec<_> = peers.iter().filter_map(|peer| peer.split_once('=')).collect();
    // A name, and the words after `ctr run --rm`.
    let echo = |shim: &str| format!("{shim} with {runtime}, `echo`");
    let theirs = (echo("runc-v2"), vec!["--runc-binary", &runtime, ORDINARY]);
    let mut ways = vec![theirs.clone()];
    ways.extend(peers.iter().map(|(name, shim)| (echo(name), vec!["--runtime", *shim, ORDINARY])));
    ways.push((echo("mica"), vec!["--runtime", MICA, ORDINARY]));
    ways.push(("mica, FreeRTOS demo".to_owned(), vec!["--runtime", MICA, DEMO]));
    let host = Host::start();
    compare(&table, &host, &ways, rounds, || host.assert_clean());
    drop(host);

    let demo = vec!["--runtime", MICA, DEMO];
    let ways = [theirs, ("mica, FreeRTOS demo in a machine that has waited".to_owned(), demo.clone())];
    let host = Host::configured("", "[Micad]\nWaitingMachines = 1\nSysfsRoot = /nowhere\n");
    // A kind of machine waits once it was started; the machine that is measured may be short of memory.
    first_byte(&demo);
    println!();
    compare(&format!("{table}-waiting"), &host, &ways, rounds, until_one_waits);
}

/// Measures the ways, and prints the table of that name. Before each run, `ready` is called.
fn compare(table: &str, host: &Host, ways: &[(String, Vec<&str>)], rounds: usize, ready: impl Fn()) {
    host.import_image(Image::busybox(ORDINARY, &["/bin/busybox", "echo", "hello"]));
    // In turn, so that a slow moment of the machine meets all of them.
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for ((_, words), times) in ways.iter().zip(&mut times) {
            ready();
            times.push(first_byte(words));
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    println!("<!-- {table} -->");
    println!(
        "| `ctr run` to the first byte, {rounds} rounds | median ms | min | max | ratio |\n|---|---|---|---|---|"
    );
    let first = milliseconds(times[0][times[0].len() / 2]);
    for ((name, _), times) in ways.iter().zip(&times) {
        let [median, min, max] = [times[times.len() / 2], times[0], times[times.len() - 1]].map(milliseconds);
        println!("| {name} | {median:.1} | {min:.1} | {max:.1} | {:.2} |", median / first);
    }
}

fn until_one_waits() {
    wait::until("a machine waits", || {
        mica(&["version"]).stdout.contains("waiting machines: 1 of 1").then_some(())
    });
}

/// Runs a container until its first byte is there, then ends it.
fn first_byte(words: &[&str]) -> Duration {
    let start = Instant::now();
    let mut console = ctr_piped(&[&["run", "--rm"], words, &["one"]].concat());
    if words.contains(&DEMO) {
        console.expect(PROMPT);
        console.send("exit 0\r");
    }
    assert_eq!(console.wait(), 0, "{words:?}: {}", console.error_text());
    console.first_byte().expect("it printed something").duration_since(start)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
