//! `index`: images for different platforms under one name.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::elf::Elf;
use common::{Bench, blob, json};

/// `one.tar` for arm64, and a layout `two` that has one for amd64 and one for riscv64.
fn bench() -> Bench {
    let bench = Bench::with_firmware(&Elf::aarch64(20_000).to_bytes());
    bench.pack(&["-o", "one.tar", "-t", "one", "--platform", "linux/arm64"]);
    bench.write("fw.elf", Elf::aarch64(9_000).to_bytes());
    bench.pack(&["-o", "two", "-t", "example.org/two:1", "--platform", "linux/amd64"]);
    bench.pack(&["-o", "two", "-t", "three:3", "--platform", "linux/riscv64,linux/arm64/v8"]);
    bench
}

#[test]
fn one_name_stands_for_the_images_of_all_platforms() {
    let bench = bench();
    let ran = bench.run([
        "index",
        "-t",
        "all:1",
        "-o",
        "out",
        "one.tar",
        "two:example.org/two:1",
        "--annotation",
        "a=b",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("for linux/arm64, linux/amd64"), "{}", ran.stderr);
    let entry = &json(bench.path("out/index.json"))["manifests"][0];
    assert_eq!(entry["digest"], ran.stdout.trim_end());
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/all:1");
    let index = json(blob(&bench.path("out"), ran.stdout.trim_end()));
    assert_eq!(index["annotations"]["a"], "b");
    let manifests = index["manifests"].as_array().unwrap();
    assert!(manifests.iter().all(|it| it.get("annotations").is_none()), "{index}");
    // The images are as they were.
    let packed = bench.inspect("one.tar")["images"][0]["platforms"][0]["manifest"].clone();
    assert_eq!(manifests[0]["digest"], packed);
    let report = bench.inspect("out");
    let platforms: Vec<_> =
        report["images"].as_array().unwrap().iter().map(|it| &it["platforms"][0]["platform"]).collect();
    assert_eq!(platforms, ["linux/arm64", "linux/amd64"]);
    // The same image twice is one, and an index is merged as well.
    let ran = bench.run([
        "index",
        "-t",
        "all:1",
        "-o",
        "more.tar",
        "--json",
        "two:example.org/two:1",
        "two:3",
        "two:3",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["platforms"], serde_json::json!(["linux/amd64", "linux/riscv64", "linux/arm64/v8"]));
    bench.inspect("more.tar");
}

/// containerd would run the first of them on every board.
#[test]
fn two_images_for_one_platform_are_refused() {
    let bench = bench();
    let ran = bench.run(["index", "-t", "all", "-o", "out.tar", "one.tar", "two:three:3"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    for part in ["two", "it is for linux/arm64, and so is one.tar", "micrun.yaml"] {
        assert!(ran.stderr.contains(part), "{}", ran.stderr);
    }
    assert!(!bench.path("out.tar").exists());
}

#[test]
fn an_image_is_one_that_is_there() {
    let bench = bench();
    for (image, status, part) in [
        (
            "two",
            2,
            "it holds several images; name one as two:NAME: example.org/two:1, docker.io/library/three:3",
        ),
        ("two:nosuch", 2, "it holds no image nosuch, but: example.org/two:1"),
        ("missing.tar", 1, "missing.tar"),
    ] {
        let ran = bench.run(["index", "-t", "all", "-o", "out.tar", image]);
        assert!(ran.status == status && ran.stderr.contains(part), "{image}: {ran:?}");
    }
    // A blob that is not what its name says.
    let digest = bench.inspect("two")["images"][0]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let path = blob(&bench.path("two"), &digest);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let ran = bench.run(["index", "-t", "all", "-o", "out.tar", "two:example.org/two:1"]);
    assert!(ran.status == 4 && !bench.path("out.tar").exists(), "{ran:?}");
}
