//! `make bench`: how fast output gets through a shim, ours and containerd's own in turn, and that none is lost.
//! Prints Markdown.
//!
//! `console-throughput RUNTIME [ROUNDS] [NAME=SHIM]...`: RUNTIME is the OCI runtime of all, SHIM the path of somebody else's shim,
//! whose OCI runtime is the `runc` on `PATH`.
#![allow(clippy::print_stdout, reason = "the table is the result")]
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure must say so and end"
)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{ctr, ctr_terminal};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, firmware, isolation, printer, process, wait};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

/// Output of each run.
const AMOUNT: usize = 100 << 20;
const MEGABYTES: f64 = 104.857_6;
const ORDINARY: &str = "localhost/busybox:1";
/// Waits for a line on stdin, unless there is none: `ctr` reads the FIFOs itself until it has ended.
const LINUX: &[&str] =
    &["/bin/busybox", "sh", "-c", "read x; exec /bin/busybox dd if=/dev/zero bs=64k count=1600 2>/dev/null"];
const SHIM: &str = "containerd-shim-mica-v2";

/// Where output goes.
#[derive(Clone, Copy)]
enum Way {
    /// The FIFOs that ctr makes; a line on stdin starts it.
    Attached,
    /// A FIFO of our own, which only our shim takes.
    Fifo,
    File,
    Program,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let runtime = args.next().expect("RUNTIME comes first");
    let args: Vec<String> = args.collect();
    let (peers, numbers): (Vec<_>, Vec<_>) = args.iter().partition(|arg| arg.contains('='));
    let rounds = numbers.first().map_or(5, |rounds| rounds.parse().expect("ROUNDS is a number"));
    let host = Host::ordinary();
    host.import_image(Image::busybox(ORDINARY, &["/bin/busybox", "true"]));
    host.import(&firmware::pack(&firmware::hello(), DEMO, &[]));
    printer::serve(AMOUNT);

    let linux = |shim: [&str; 2], tty: bool| {
        let mut words: Vec<String> = shim.map(str::to_owned).to_vec();
        words.extend(tty.then(|| "--tty".to_owned()));
        (words, ORDINARY, LINUX)
    };
    let [runc, ours] = [["--runc-binary", &runtime], ["--runtime", MICA]];
    let firmware = (ours.map(str::to_owned).to_vec(), DEMO, &[][..]);
    let with = |shim: &str, way: &str| format!("{shim} with {runtime}, {way}");
    let mut rows: Vec<(String, _, _)> = [
        (with("runc-v2", "pipe to FIFO"), linux(runc, false), Way::Attached),
        (with("mica", "pipe to FIFO"), linux(ours, false), Way::Attached),
        (with("runc-v2", "pty to FIFO"), linux(runc, true), Way::Attached),
        (with("mica", "pty to FIFO"), linux(ours, true), Way::Attached),
        ("mica, firmware's pty to FIFO".to_owned(), firmware.clone(), Way::Fifo),
        (with("runc-v2", "pipe to `file://`"), linux(runc, false), Way::File),
        (with("mica", "pipe to `file://`"), linux(ours, false), Way::File),
        ("mica, firmware's pty to `file://`".to_owned(), firmware.clone(), Way::File),
        (with("runc-v2", "pipe to `binary://`"), linux(runc, false), Way::Program),
        (with("mica", "pipe to `binary://`"), linux(ours, false), Way::Program),
        ("mica, firmware's pty to `binary://`".to_owned(), firmware, Way::Program),
    ]
    .into();
    // Of the schemes, shims of others know what they like.
    for (name, shim) in peers.iter().filter_map(|peer| peer.split_once('=')) {
        rows.push((with(name, "pipe to FIFO"), linux(["--runtime", shim], false), Way::Attached));
        rows.push((with(name, "pty to FIFO"), linux(["--runtime", shim], true), Way::Attached));
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    let mut memory = 0;
    for _ in 0..rounds {
        for ((name, (words, image, command), way), times) in rows.iter().zip(&mut times) {
            let words: Vec<_> = words.iter().map(String::as_str).collect();
            let (time, bytes) = measure(&[&words[..], &[image, "one"], command].concat(), *way, &mut memory);
            // A terminal of Linux echoes the line as well.
            assert!((AMOUNT..AMOUNT + 3).contains(&bytes), "{name}: {bytes} bytes");
            times.push(time);
        }
    }
    println!("<!-- throughput -->");
    println!("| {} MB, {rounds} rounds | median MB/s | best | lost |\n|---|---|---|---|", AMOUNT >> 20);
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
        Way::Attached => String::new(),
        Way::Fifo => {
            mkfifo(&out, Mode::S_IRWXU).unwrap();
            format!("fifo://{}", out.display())
        }
        Way::File => format!("file://{}", out.display()),
        Way::Program => format!("binary://{}?out={}", counter().display(), out.display()),
    };
    let mut args = vec!["run", "--detach"];
    if !uri.is_empty() {
        args.extend(["--log-uri", &uri]);
    }
    args.extend(words);
    let read = move || match way {
        Way::Attached => {
            let reader = thread::spawn(|| read_fifo(&attached("stdout")));
            File::options().write(true).open(attached("stdin")).unwrap().write_all(b"\n").unwrap();
            reader.join().unwrap()
        }
        Way::Fifo => read_fifo(&out),
        Way::File => watch_file(&out),
        Way::Program => {
            let text = wait::until("the program reports", || {
                fs::read_to_string(&out).ok().filter(|text| text.lines().count() == 3)
            });
            let numbers: Vec<u64> = text.lines().map(|line| line.trim().parse().unwrap()).collect();
            (Duration::from_nanos(numbers[2] - numbers[0]), usize::try_from(numbers[1]).unwrap() + 1)
        }
    };
    let result = if let Way::Attached = way {
        // For a terminal ctr wants one of its own.
        assert_eq!(ctr_terminal(&args).wait(), 0);
        read()
    } else {
        let reader = thread::spawn(read);
        ctr(&args).success();
        reader.join().expect("the reader does not panic")
    };
    for shim in Process::running(SHIM) {
        *memory = (*memory).max(shim.memory("Rss"));
    }
    wait::until("the task is deleted", || (ctr(&["tasks", "delete", "one"]).status == 0).then_some(()));
    ctr(&["containers", "delete", "one"]).success();
    let _ = fs::remove_dir_all("/run/containerd/fifo");
    result
}

/// A FIFO that ctr made.
fn attached(stream: &str) -> PathBuf {
    let folders = fs::read_dir("/run/containerd/fifo").unwrap().flatten();
    let mut paths = folders.map(|folder| folder.path().join(format!("one-{stream}")));
    paths.find(|path| path.exists()).unwrap()
}

/// Reads a FIFO to its end.
fn read_fifo(path: &Path) -> (Duration, usize) {
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

/// A logging program that writes when its first byte came, how many followed, and when the last had come. It counts
/// itself: with containerd's shim there is no end before the task is deleted.
fn counter() -> PathBuf {
    let rest = AMOUNT - 1;
    let script = format!(
        "exec 5>&-\nhead -c 1 <&3 >/dev/null\ndate +%s%N >\"$2\"\n\
        dd of=/dev/null bs=256k iflag=fullblock,count_bytes count={rest} <&3 2>&1 | tail -n 1 | cut -d ' ' -f 1 >>\"$2\"\n\
        date +%s%N >>\"$2\"\n"
    );
    process::script("counter", &script)
}
