//! `make bench`: how long until the first byte of a container is there, ours beside ordinary ones in the same run, and how
//! large the programs are. Prints Markdown, with the name of each table before it.
//!
//! `host-bench [ROUNDS] [NAME=SHIM]...`: SHIM is the path of somebody else's shim, whose OCI runtime is the `runc` on `PATH`.
#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::{Host, isolation};

const ORDINARY: &str = "localhost/busybox:1";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (peers, numbers): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.contains('='));
    let rounds = numbers.first().map_or(20, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let peers: Vec<_> = peers.iter().filter_map(|peer| peer.split_once('=')).collect();
    let host = Host::start();
    host.import_image(Image::busybox(ORDINARY, &["/bin/busybox", "echo", "hello"]));

    // A name, and the words after `ctr run --rm`.
    let mut ways = vec![
        ("crun, `echo`".to_owned(), vec!["--runc-binary", "/usr/bin/crun", ORDINARY]),
        ("runc, `echo`".to_owned(), vec!["--runc-binary", "/usr/sbin/runc", ORDINARY]),
    ];
    let other =
        |(name, shim): &(&str, _)| (format!("{name} with crun, `echo`"), vec!["--runtime", *shim, ORDINARY]);
    ways.extend(peers.iter().map(other));
    ways.push(("mica with crun, `echo`".to_owned(), vec!["--runtime", MICA, ORDINARY]));
    ways.push(("mica, FreeRTOS demo".to_owned(), vec!["--runtime", MICA, DEMO]));

    // In turn, so that a slow moment of the machine meets all of them.
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for ((_, words), times) in ways.iter().zip(&mut times) {
            times.push(first_byte(&host, words));
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    println!("<!-- first-byte -->");
    println!(
        "| `ctr run` to the first byte, {rounds} rounds | median ms | min | max | ratio |\n|---|---|---|---|---|"
    );
    let first = milliseconds(times[0][times[0].len() / 2]);
    for ((name, _), times) in ways.iter().zip(&times) {
        let [median, min, max] = [times[times.len() / 2], times[0], times[times.len() - 1]].map(milliseconds);
        println!("| {name} | {median:.1} | {min:.1} | {max:.1} | {:.2} |", median / first);
    }

    println!("\n<!-- sizes -->\n| program | bytes |\n|---|---|");
    for program in ["containerd-shim-mica-v2", "micad", "mica", "micrun-image-builder"] {
        size(program, &isolation::binary(program));
    }
    size("containerd-shim-runc-v2", &PathBuf::from("/usr/bin/containerd-shim-runc-v2"));
    for (name, shim) in peers {
        size(name, Path::new(shim));
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
    assert_eq!(console.wait(), 0, "{words:?}: {}", console.error_text());
    host.assert_clean();
    console.first_byte().expect("it printed something").duration_since(start)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn size(name: &str, program: &Path) {
    println!("| {name} | {} |", fs::metadata(program).expect("a program has a size").len());
}
