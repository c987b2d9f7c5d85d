//! `make bench`: how fast output gets through a shim, ours and containerd's own in turn, and that none is lost.
//! Prints Markdown.
#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::ctr;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, firmware, isolation, printer, process, wait};

/// Output of each run.
const AMOUNT: usize = 100 << 20;
const MEGABYTES: f64 = 104.857_6;
const ORDINARY: &str = "localhost/busybox:1";
const LINUX: &[&str] = &["/bin/busybox", "dd", "if=/dev/zero", "bs=64k", "count=1600"];
const CRUN: &str = "/usr/bin/crun";
const SHIM: &str = "containerd-shim-mica-v2";

/// Where output goes.
#[derive(Clone, Copy)]
enum Way {
    Fifo,
    File,
    Program,
}

fn main() {
    let rounds =
        std::env::args().nth(1).map_or(5, |n| n.parse().expect("usage: console-throughput [ROUNDS]"));
    let host = Host::ordinary();
    host.import_image(Image::busybox(ORDINARY, &["/bin/busybox", "true"]));
    host.import(&firmware::pack(&firmware::hello(), DEMO, &[]));
    printer::serve(AMOUNT);

    let linux = |tty: bool| {
        let mut words = vec!["--runc-binary", CRUN];
        words.extend(tty.then_some("--tty"));
        (words, ORDINARY, LINUX)
    };
    let mica = (vec!["--runtime", MICA], DEMO, &[][..]);
    let rows = [
        ("runc-v2, pipe to FIFO", linux(false), Way::Fifo),
        ("runc-v2, pty to FIFO", linux(true), Way::Fifo),
        ("mica, pty to FIFO", mica.clone(), Way::Fifo),
        ("runc-v2, pipe to `file://`", linux(false), Way::File),
        ("mica, pty to `file://`", mica.clone(), Way::File),
        ("runc-v2, pipe to `binary://`", linux(false), Way::Program),
        ("mica, pty to `binary://`", mica, Way::Program),
    ];
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    let mut memory = 0;
    for _ in 0..rounds {
        for ((name, (words, image, command), way), times) in rows.iter().zip(&mut times) {
            let (time, bytes) = measure(&[&words[..], &[image, "one"], command].concat(), *way, &mut memory);
            assert_eq!(bytes, AMOUNT, "{name} lost output");
            times.push(time);
        }
    }
    println!(
        "| {} MB, {rounds} rounds in turn | median MB/s | best | lost |\n|---|---|---|---|",
        AMOUNT >> 20
    );
    for ((name, ..), times) in rows.iter().zip(&mut times) {
        times.sort_unstable();
        let [median, best] = [times[times.len() / 2], times[0]].map(|time| MEGABYTES / time.as_secs_f64());
        println!("| {name} | {median:.0} | {best:.0} | 0 |");
    }
    println!("\nThe shim's RSS right after such a run was at most {memory} kB.");
}

/// Runs a container; gives the time from its first byte to its last, and how many they were.
fn measure(words: &[&str], way: Way, memory: &mut u64) -> (Duration, usize) {
    let out = isolation::state_dir().join("out");
    let _ = fs::remove_file(&out);
    let uri = match way {
        Way::Fifo => String::new(),
        Way::File => format!("file://{}", out.display()),
        Way::Program => format!("binary://{}?out={}", counter().display(), out.display()),
    };
    let mut args = vec!["run", "--detach"];
    if !uri.is_empty() {
        args.extend(["--log-uri", &uri]);
    }
    args.extend(words);
    let reader = thread::spawn(move || match way {
        Way::Fifo => read_fifo(),
        Way::File => watch_file(&out),
        Way::Program => {
            let text = wait::until("the program reports", || {
                fs::read_to_string(&out).ok().filter(|text| text.lines().count() == 3)
            });
            let numbers: Vec<u64> = text.lines().map(|line| line.trim().parse().unwrap()).collect();
            (Duration::from_nanos(numbers[2] - numbers[0]), usize::try_from(numbers[1]).unwrap() + 1)
        }
    });
    // With a terminal ctr wants one, and a detached container has none.
    ctr(&args).success();
    let result = reader.join().expect("the reader does not panic");
    for shim in Process::running(SHIM) {
        *memory = (*memory).max(shim.memory("Rss"));
    }
    wait::until("the task is deleted", || (ctr(&["tasks", "delete", "one"]).status == 0).then_some(()));
    ctr(&["containers", "delete", "one"]).success();
    let _ = fs::remove_dir_all("/run/containerd/fifo");
    result
}

/// Reads the stdout FIFO that ctr makes, to its end.
fn read_fifo() -> (Duration, usize) {
    let path: PathBuf = wait::until("ctr has made its FIFOs", || {
        let folders = fs::read_dir("/run/containerd/fifo").ok()?.flatten();
        folders.map(|folder| folder.path().join("one-stdout")).find(|path| path.exists())
    });
    let mut fifo = File::open(path).unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let mut bytes = fifo.read(&mut buffer).unwrap();
    let start = Instant::now();
    loop {
        match fifo.read(&mut buffer).unwrap() {
            0 => return (start.elapsed(), bytes),
            count => bytes += count,
        }
    }
}

/// Looks at a file every now and then until all is in it.
fn watch_file(path: &Path) -> (Duration, usize) {
    let size = || fs::metadata(path).map_or(0, |file| usize::try_from(file.len()).unwrap());
    while size() == 0 {
        thread::sleep(Duration::from_micros(200));
    }
    let start = Instant::now();
    while size() < AMOUNT && start.elapsed() < wait::LIMIT {
        thread::sleep(Duration::from_micros(200));
    }
    (start.elapsed(), size())
}

/// A logging program that writes when its first byte came, how many followed, and when the last had come.
fn counter() -> PathBuf {
    let script = "exec 5>&-\nhead -c 1 <&3 >/dev/null\ndate +%s%N >\"$2\"\n\
        /bin/busybox dd bs=256k <&3 2>/dev/null | wc -c >>\"$2\"\ndate +%s%N >>\"$2\"\n";
    process::script("counter", script)
}
