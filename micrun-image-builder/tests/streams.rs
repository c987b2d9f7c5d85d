//! Pipes, compressed archives, archives of Docker's, and what is left when a signal ends the program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};

use common::elf::Elf;
use common::{Bench, Ran};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// The bytes of a firmware that is not packed at once.
const LARGE: usize = 1 << 20;

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

/// Runs the program with a pipe as its standard input.
fn piped(bench: &Bench, args: &[&str], input: &[u8]) -> std::process::Output {
    let mut command = bench.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn an_archive_is_compressed_as_its_name_says_and_read_by_its_content() {
    let bench = bench();
    bench.pack(&["-t", "example.org/fw:1"]);
    let plain = bench.read("fw.tar");
    for (name, tool) in
        [("fw.tar.gz", "gzip"), ("fw.tgz", "gzip"), ("fw.tar.zst", "zstd"), ("fw.TAR.XZ", "xz")]
    {
        let digest = bench.pack(&["-t", "example.org/fw:1", "-o", name]);
        let unpacked =
            Command::new(tool).arg("-dc").stdin(File::open(bench.path(name)).unwrap()).output().unwrap();
        assert!(unpacked.stdout == plain, "{tool}: {}", String::from_utf8_lossy(&unpacked.stderr));
        let first = bench.read(name);
        bench.pack(&["-t", "example.org/fw:1", "-o", name]);
        assert!(first == bench.read(name), "{name} is the same each time");
        fs::rename(bench.path(name), bench.path("image")).unwrap();
        assert_eq!(bench.inspect("image")["images"][0]["digest"], *digest);
        // As others compress: several streams one after the other, other settings.
        let (one, two) = plain.split_at(5000);
        let mut theirs = Vec::new();
        for part in [one, two] {
            bench.write("part", part);
            let level = if tool == "xz" { "-9" } else { "-1" };
            let output = Command::new(tool).args([level, "-c"]).arg(bench.path("part")).output().unwrap();
            theirs.extend(output.stdout);
        }
        bench.write("theirs", &theirs);
        assert_eq!(bench.inspect("theirs")["images"][0]["digest"], *digest, "{tool}");
        theirs.truncate(theirs.len() - 20);
        bench.write("theirs", &theirs);
        let ran = bench.run(["inspect", "theirs"]);
        assert!(ran.status == 4 && ran.stderr.contains("theirs cannot be decompressed"), "{ran:?}");
    }
    assert_eq!(bench.files(), ["fw.elf", "fw.tar", "image", "part", "theirs"]);
}

#[test]
fn a_dash_is_the_standard_output() {
    let bench = bench();
    let digest = bench.pack(&[]);
    let output = bench.command(["pack", "fw.elf", "-o", "-"]).output().unwrap();
    assert!(output.status.success());
    assert!(output.stdout == bench.read("fw.tar"), "the archive and nothing else");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("to the standard output") && said.ends_with(&format!("{digest}\n")), "{said}");
    assert_eq!(bench.files(), ["fw.elf", "fw.tar"]);
}

#[test]
fn a_dash_or_a_pipe_is_read() {
    let bench = bench();
    let digest = bench.pack(&[]);
    let firmware = bench.read("fw.elf");
    for input in ["-", "/dev/stdin"] {
        let ran = Ran::from(piped(&bench, &["pack", input, "-t", "fw", "--name", "fw"], &firmware));
        assert_eq!(ran.status, 0, "{ran:?}");
        assert!(bench.path("firmware.tar").exists());
        for archive in ["firmware.tar", "fw.tar"] {
            let args = ["inspect", "--json", input];
            let ran = Ran::from(piped(&bench, &args, &bench.read(archive)));
            let report: Value = serde_json::from_str(&ran.stdout).unwrap();
            assert_eq!(report["images"][0]["firmware"]["size"], firmware.len());
            assert_eq!(report["images"][0]["digest"], *digest);
        }
        // A file as the standard input is not copied.
        let mut command = bench.command(["inspect", input]);
        command.stdin(File::open(bench.path("fw.tar")).unwrap());
        assert_eq!(Ran::from(command.output().unwrap()).status, 0);
    }
    let ran = Ran::from(piped(&bench, &["pack", "-"], b"no ELF at all"));
    assert!(ran.status == 3 && ran.stderr.contains("/dev/stdin"), "{ran:?}");
    let ran = Ran::from(piped(&bench, &["inspect", "-"], b"no tar at all"));
    assert_eq!(ran.status, 4, "{ran:?}");
}

/// Without `oci-layout` and `index.json`, an archive is one as Docker before 25 saves it.
#[test]
fn an_archive_of_docker_s_is_read() {
    let bench = bench();
    bench.pack(&["-t", "example.org/fw:1"]);
    let layout = bench.untar("fw.tar", "layout");
    let mut docker: Value = common::json(layout.join("manifest.json"));
    let names =
        [("config.json", docker[0]["Config"].clone()), ("1/layer.tar", docker[0]["Layers"][0].clone())];
    fs::create_dir(bench.path("1")).unwrap();
    for (name, blob) in names {
        fs::rename(layout.join(blob.as_str().unwrap()), bench.path(name)).unwrap();
    }
    docker[0]["Config"] = "config.json".into();
    docker[0]["Layers"][0] = "1/layer.tar".into();
    bench.write("manifest.json", docker.to_string());
    let tar = |files: &[&str]| {
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(bench.path("")).arg("-czf").arg(bench.path("saved.tgz")).args(files);
        assert!(tar.status().unwrap().success());
    };
    tar(&["manifest.json", "config.json", "1"]);
    let report = bench.inspect("saved.tgz");
    let image = &report["images"][0];
    assert_eq!(image["name"], "example.org/fw:1");
    assert_eq!(image["platforms"][0]["platform"], "linux/amd64");
    assert_eq!(image["firmware"]["size"], bench.read("fw.elf").len());
    assert_eq!(image["layers"][0]["media_type"], "application/vnd.oci.image.layer.v1.tar+gzip");
    tar(&["manifest.json", "config.json"]);
    let ran = bench.run(["inspect", "saved.tgz"]);
    assert!(ran.status == 6 && ran.stderr.contains("\"1/layer.tar\", which is missing"), "{ran:?}");
}

/// Packs a firmware that takes its time, and waits until a file or directory with a temporary name is there; `None` if
/// it was not seen before all was done.
fn packing(bench: &Bench, output: &str) -> Option<Child> {
    let mut command = interruptible(bench, &["pack", "large.elf", "-o", output, "--compression", "gzip"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = || bench.files().iter().any(|name| name.starts_with(".micrun-pack-"));
    while !begun() {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return None;
        }
        std::thread::yield_now();
    }
    Some(child)
}

/// The program, which heeds signals even if whoever runs the tests ignores them, as `nohup` and a shell's `&` do.
fn interruptible(bench: &Bench, args: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.args(["--default-signal=INT,TERM,HUP", env!("CARGO_BIN_EXE_micrun-image-builder")]);
    command.args(args).current_dir(bench.path(""));
    command
}

/// A machine that stalls may let a pack end before the signal is sent: then it is tried again.
#[test]
fn a_signal_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.write("large.elf", Elf::aarch64(LARGE).to_bytes());
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        for output in ["out.tar", "out.tar.gz", "images"] {
            loop {
                if let Some(mut child) = packing(&bench, output) {
                    kill(Pid::from_raw(child.id().try_into().unwrap()), signal).unwrap();
                    let status = child.wait().unwrap();
                    if !status.success() {
                        assert_eq!(status.signal(), Some(signal as i32), "its parent sees what ended it");
                        break;
                    }
                }
                let ended = bench.path(output);
                if ended.is_dir() { fs::remove_dir_all(ended) } else { fs::remove_file(ended) }.unwrap();
            }
            assert_eq!(bench.files(), ["large.elf"], "{signal} {output}");
        }
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_lock() {
    let bench = bench();
    bench.pack(&["-o", "images", "-t", "example.org/a:1"]);
    let before = bench.read("images/index.json");
    let lock = File::open(bench.path("images/oci-layout")).unwrap();
    lock.lock().unwrap();
    let mut command = interruptible(&bench, &["pack", "fw.elf", "-o", "images", "-t", "example.org/b:1"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    common::until_it_waits_for_a_lock(&mut child);
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    assert_eq!(bench.read("images/index.json"), before);
    assert_eq!(fs::read_dir(bench.path("images")).unwrap().count(), 3, "blobs, index.json, oci-layout");
}

/// As `nohup` asks.
#[test]
fn an_ignored_signal_stays_ignored() {
    let bench = Bench::new();
    bench.write("large.elf", Elf::aarch64(LARGE).to_bytes());
    let program = env!("CARGO_BIN_EXE_micrun-image-builder");
    let script = format!("trap '' HUP; exec {program} pack large.elf --compression none");
    let mut command = Command::new("sh");
    let mut child =
        command.args(["-c", &script]).current_dir(bench.path("")).stdout(Stdio::null()).spawn().unwrap();
    while !bench.files().iter().any(|name| name.starts_with(".micrun-pack-")) {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        std::thread::yield_now();
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGHUP).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(bench.files(), ["large.elf", "large.tar"]);
}
