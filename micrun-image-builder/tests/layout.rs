//! One layout directory, several images and several programs that pack into it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use common::elf::Elf;
use common::{Bench, json};

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(2000).to_bytes())
}

/// The full names in a layout, sorted.
fn names(layout: &Path) -> Vec<String> {
    let index = json(layout.join("index.json"));
    let mut names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["annotations"]["io.containerd.image.name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

/// Half of the rounds begin with no layout, the others with one that holds an image.
#[test]
fn whoever_packs_at_the_same_time_loses_no_image() {
    const PACKERS: usize = 8;
    let bench = bench();
    for round in 0..20 {
        let layout = format!("round{round}");
        let mut expected: Vec<_> = (0..PACKERS).map(|i| format!("example.org/fw{i}:1")).collect();
        if round % 2 == 1 {
            bench.pack(&["-o", &layout, "-t", "example.org/first:1"]);
            expected.insert(0, "example.org/first:1".to_owned());
        }
        let running: Vec<_> = (0..PACKERS)
            .map(|i| {
                let name = format!("example.org/fw{i}:1");
                let args = ["pack", "fw.elf", "--platform", "linux/arm64", "-o", &layout, "-t", &name];
                bench.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
            })
            .collect();
        for packer in running {
            let output = packer.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        let layout = bench.path(&layout);
        assert_eq!(names(&layout), expected, "round {round}");
        assert_eq!(fs::read_dir(&layout).unwrap().count(), 3, "blobs, index.json, oci-layout");
    }
    assert_eq!(bench.files().len(), 1 + 20, "nothing is left beside the layouts");
}

#[test]
fn a_pack_waits_for_the_one_that_holds_the_lock() {
    let bench = bench();
    bench.pack(&["-o", "images", "-t", "example.org/a:1"]);
    let lock = File::open(bench.path("images/oci-layout")).unwrap();
    lock.lock().unwrap();
    let mut waiting = bench.command(["pack", "fw.elf", "-o", "images", "-t", "example.org/b:1"]);
    let mut waiting = waiting.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // In the kernel's list of locks, `->` marks one that waits.
    let waits = format!(" {} ", waiting.id());
    let listed = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&waits))
    };
    while !listed() {
        assert!(waiting.try_wait().unwrap().is_none(), "it does not wait");
        std::thread::yield_now();
    }
    assert_eq!(names(&bench.path("images")), ["example.org/a:1"]);
    // As at the end of a program that was killed.
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert_eq!(names(&bench.path("images")), ["example.org/a:1", "example.org/b:1"]);
}
