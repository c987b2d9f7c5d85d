//! One layout directory, several images and several programs that pack into it.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;

use common::elf::Elf;
use common::{Bench, Ran, json};
use serde_json::{Value, json};

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

/// What skopeo, oras and umoci find the images by, and the full name of each.
fn references(layout: &Path) -> Vec<(String, String)> {
    let index = json(layout.join("index.json"));
    let annotation = |entry: &Value, key| entry["annotations"][key].as_str().unwrap_or("none").to_owned();
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (annotation(it, "org.opencontainers.image.ref.name"), annotation(it, "io.containerd.image.name"))
        })
        .collect()
}

fn pair(reference: &str, name: &str) -> (String, String) {
    (reference.to_owned(), name.to_owned())
}

/// A reference is a tag. Of two images with the same tag, the one that was packed last has it.
#[test]
fn no_reference_stands_for_two_images() {
    let bench = bench();
    let layout = bench.path("images");
    for name in ["example.org/a:1", "example.org/b:1", "example.org/c:2"] {
        bench.pack(&["-o", "images", "-t", name]);
    }
    assert_eq!(
        references(&layout),
        [
            pair("example.org/a:1", "example.org/a:1"),
            pair("1", "example.org/b:1"),
            pair("2", "example.org/c:2")
        ]
    );
    bench.pack(&["-o", "images", "-t", "example.org/a:1", "--os", "zephyr"]);
    assert_eq!(
        references(&layout),
        [
            pair("example.org/b:1", "example.org/b:1"),
            pair("2", "example.org/c:2"),
            pair("1", "example.org/a:1")
        ]
    );
    // One of skopeo's or umoci's, which has no other name, is replaced as they replace it.
    let mut index = json(layout.join("index.json"));
    index["manifests"][1]["annotations"] = json!({"org.opencontainers.image.ref.name": "3"});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    bench.pack(&["-o", "images", "-t", "example.org/c:3"]);
    assert_eq!(references(&layout)[2..], [pair("3", "example.org/c:3")]);
    assert_eq!(bench.inspect("images")["images"].as_array().unwrap().len(), 3);
}

/// Makes the second of two images carry other annotations, and inspects.
fn renamed(annotations: &Value) -> Ran {
    let bench = bench();
    bench.pack(&["-o", "images", "-t", "example.org/a:1"]);
    bench.pack(&["-o", "images", "-t", "example.org/b:2", "--os", "zephyr"]);
    let mut index = json(bench.path("images/index.json"));
    index["manifests"][1]["annotations"] = annotations.clone();
    fs::write(bench.path("images/index.json"), index.to_string()).unwrap();
    bench.run(["inspect", "--json", "images"])
}

#[test]
fn a_name_of_two_images_is_refused_and_a_reference_of_two_is_told() {
    for same in [
        json!({"io.containerd.image.name": "example.org/a:1", "org.opencontainers.image.ref.name": "2"}),
        json!({"org.opencontainers.image.ref.name": "example.org/a:1"}),
    ] {
        let ran = renamed(&same);
        assert_eq!(ran.status, 4, "{ran:?}");
        assert!(ran.stderr.contains("two different images are named \"example.org/a:1\""), "{ran:?}");
    }
    // As `ctr image export` writes two images of one tag.
    let ran = renamed(
        &json!({"io.containerd.image.name": "example.org/b:1", "org.opencontainers.image.ref.name": "1"}),
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    for image in report["images"].as_array().unwrap() {
        assert!(
            image["warnings"].to_string().contains("the same org.opencontainers.image.ref.name"),
            "{image}"
        );
    }
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
    common::until_it_waits_for_a_lock(&mut waiting);
    assert_eq!(names(&bench.path("images")), ["example.org/a:1"]);
    // As at the end of a program that was killed.
    drop(lock);
    assert!(waiting.wait_with_output().unwrap().status.success());
    assert_eq!(names(&bench.path("images")), ["example.org/a:1", "example.org/b:1"]);
}
