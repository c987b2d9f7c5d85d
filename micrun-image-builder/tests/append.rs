//! Images with one more layer.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Command;

use common::elf::Elf;
use common::{Bench, blob, json};
use serde_json::Value;

const MESSAGE: &str = "another message";

/// A layout `images` with the image `demo:1`, and `new.elf`, whose bytes 1000.. differ.
fn bench() -> Bench {
    let mut elf = Elf::aarch64(40_000);
    let bench = Bench::with_firmware(&elf.to_bytes());
    bench.pack(&["-t", "demo:1", "-o", "images", "--os", "freertos", "--updatable"]);
    elf.content[1000..1000 + MESSAGE.len()].copy_from_slice(MESSAGE.as_bytes());
    bench.write("new.elf", elf.to_bytes());
    bench
}

fn append(bench: &Bench, args: &[&str]) -> Value {
    let ran = bench.run(["append", "images", "--json"].iter().chain(args));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

fn refused(bench: &Bench, args: &[&str], expected: &str) {
    let ran = bench.run(["append", "images", "-t", "demo:2"].iter().chain(args));
    assert!(ran.status != 0 && ran.stderr.contains(expected), "{}: {}", ran.status, ran.stderr);
}

/// The manifest, for the first platform, of what append wrote.
fn manifest(bench: &Bench, report: &Value) -> Value {
    let layout = bench.path("images");
    let index = json(blob(&layout, report["image"]["digest"].as_str().unwrap()));
    json(blob(&layout, index["manifests"][0]["digest"].as_str().unwrap()))
}

fn record(bench: &Bench, report: &Value) -> Value {
    let layer = blob(&bench.path("images"), report["image"]["layer"]["digest"].as_str().unwrap());
    fs::copy(layer, bench.path("layer.tar")).unwrap();
    let into = bench.untar("layer.tar", "layer");
    let record = json(into.join(".micrun/records/0001.json"));
    fs::remove_dir_all(into).unwrap();
    record
}

#[test]
fn a_new_firmware_is_a_layer_whose_record_says_what_changes() {
    let bench = bench();
    let report = append(&bench, &["--image", "demo:1", "--firmware", "new.elf", "-t", "demo:2"]);
    let record = record(&bench, &report);
    assert_eq!(record["schema"], 2);
    let file = &record["files"]["/firmware.elf"];
    assert_eq!((file["op"].as_str(), file["changes"].as_array().unwrap().len()), (Some("replace"), 1));
    let change = &file["changes"][0];
    assert_eq!((&change["paddr"], &change["size"]), (&"0x400003e8".into(), &MESSAGE.len().into()));

    let manifest = manifest(&bench, &report);
    assert_eq!(manifest["layers"].as_array().unwrap().len(), 2);
    let config = json(blob(&bench.path("images"), manifest["config"]["digest"].as_str().unwrap()));
    assert_eq!(config["history"].as_array().unwrap().len(), 2);
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), 2);
    let hash = &config["config"]["Labels"]["org.openeuler.micrun.container.firmware_hash"];
    assert_eq!(*hash, file["sha256_after"]);
    assert_eq!(manifest["annotations"]["org.openeuler.micrun.container.firmware_hash"], *hash);

    // Everything of it is in order, for inspect as well.
    let seen = bench.inspect("images");
    let image =
        seen["images"].as_array().unwrap().iter().find(|it| it["digest"] == report["image"]["digest"]);
    let image = image.unwrap();
    assert_eq!(
        (&image["firmware"]["sha256"], &image["layers"][1]["record"]["verified"]),
        (hash, &true.into())
    );
}

#[test]
fn the_same_append_gives_the_same_image() {
    let bench = bench();
    let digest = |tag: &str| {
        let args =
            ["--image", "demo:1", "--firmware", "new.elf", "--add", "new.elf=/etc/spare.elf", "-t", tag];
        append(&bench, &args)["image"]["digest"].clone()
    };
    assert_eq!(digest("demo:2"), digest("demo:3"));
    // What is there already is no change.
    let again = append(&bench, &["--image", "demo:2", "--firmware", "new.elf", "-t", "demo:4"]);
    assert_eq!(again["image"]["layer"], Value::Null);
    assert_eq!(again["image"]["digest"], digest("demo:2"));
}

#[test]
fn files_are_added_replaced_and_deleted() {
    let bench = bench();
    bench.write("table.bin", "one");
    append(&bench, &["--image", "demo:1", "--add", "table.bin=/etc/table.bin", "-t", "demo:2"]);
    bench.write("table.bin", "two");
    let replaced = append(&bench, &["--image", "demo:2", "--add", "table.bin=etc/table.bin", "-t", "demo:3"]);
    assert_eq!(replaced["image"]["files"][0]["op"], "replace");
    let deleted = append(&bench, &["--image", "demo:3", "--delete", "/etc/table.bin", "-t", "demo:4"]);
    assert_eq!(deleted["image"]["files"][0]["op"], "delete");
    bench.inspect("images");
}

/// It unpacked its base into a temporary directory.
#[test]
fn nothing_of_the_base_is_unpacked() {
    let bench = bench();
    bench.write("zeros", vec![0; 1 << 20]);
    append(&bench, &["--image", "demo:1", "--add", "zeros=/data/zeros", "-t", "demo:2"]);
    let program = env!("CARGO_BIN_EXE_micrun-image-builder");
    let args = "append images --image demo:2 --firmware new.elf --delete /data/zeros -t demo:3";
    // Blocks of 512 bytes: the shell lets no file grow larger.
    let script = format!("trap '' XFSZ; ulimit -f 1024; exec {program} {args}");
    let output = Command::new("sh").args(["-c", &script]).current_dir(bench.path("")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(bench.inspect("images").to_string().contains("docker.io/library/demo:3"));
}

#[test]
fn a_delta_is_small_and_gives_the_whole_firmware() {
    let bench = bench();
    let plain = ["--image", "demo:1", "--firmware", "new.elf", "--compression", "none", "-t"];
    let whole = append(&bench, &[&plain[..], &["demo:2"]].concat());
    let delta = append(&bench, &[&plain[..], &["demo:3", "--delta"]].concat());
    let size = |report: &Value| report["image"]["layer"]["size"].as_u64().unwrap();
    assert!(size(&delta) * 5 < size(&whole), "{} of {}", size(&delta), size(&whole));
    let record = record(&bench, &delta);
    assert_eq!(record["files"]["/firmware.elf"]["changes"].as_array().unwrap().len(), 1);

    // One more, upon the first.
    let mut elf = bench.read("new.elf");
    *elf.last_mut().unwrap() ^= 1;
    bench.write("third.elf", &elf);
    let again = append(&bench, &["--image", "demo:3", "--firmware", "third.elf", "--delta", "-t", "demo:4"]);
    let seen = bench.inspect("images");
    let image = seen["images"].as_array().unwrap().iter().find(|it| it["name"] == "docker.io/library/demo:4");
    let image = image.unwrap();
    assert_eq!(image["layers"].as_array().unwrap().len(), 3);
    // Whoever knows no deltas finds no firmware where it was.
    for (tag, digest) in [("demo:3", &delta), ("demo:4", &again)] {
        let layer = blob(&bench.path("images"), digest["image"]["layer"]["digest"].as_str().unwrap());
        fs::copy(layer, bench.path("layer.tar")).unwrap();
        let into = bench.untar("layer.tar", tag);
        assert!(fs::read(into.join("firmware.elf")).unwrap().starts_with(b"micrun-delta\n"), "{tag}");
    }
    // What it runs is the third, put together.
    let packed = bench.run(["pack", "third.elf", "--json", "-o", "third.tar", "--os", "freertos"]);
    assert_eq!(packed.status, 0, "{}", packed.stderr);
    let third = &bench.inspect("third.tar")["images"][0]["firmware"];
    assert_eq!(
        (&image["firmware"]["sha256"], &image["firmware"]["size"]),
        (&third["sha256"], &third["size"])
    );
}

#[test]
fn a_whole_firmware_makes_an_image_one_for_deltas() {
    let bench = bench();
    bench.pack(&["-t", "plain:1", "-o", "images", "--os", "freertos"]);
    let base = ["append", "images", "--image", "plain:1", "--firmware", "new.elf", "-t", "plain:2"];
    let refused = bench.run(base.iter().chain(&["--delta"]));
    assert!(refused.status == 3 && refused.stderr.contains("--updatable"), "{refused:?}");
    append(&bench, &["--image", "plain:1", "--firmware", "new.elf", "--updatable", "-t", "plain:2"]);
    let back = ["--image", "plain:2", "--firmware", "fw.elf", "--delta", "-t", "plain:3"];
    assert_eq!(append(&bench, &back)["image"]["files"].as_array().unwrap().len(), 3);
    // An image for deltas stays one.
    append(&bench, &["--image", "demo:1", "--firmware", "new.elf", "-t", "demo:2"]);
    append(&bench, &["--image", "demo:2", "--firmware", "fw.elf", "--delta", "-t", "demo:3"]);
    bench.inspect("images");
}

#[test]
fn what_cannot_be_is_refused() {
    let bench = bench();
    refused(&bench, &["--delete", "/none"], "the image has no such file");
    refused(&bench, &["--add", "new.elf=/../x"], "write a path of the image");
    refused(&bench, &["--add", "new.elf=/firmware.elf/x"], "is no directory of the image");
    refused(&bench, &["--firmware", "none.elf"], "cannot read none.elf");
    refused(&bench, &["--image", "other"], "it holds no image other, but: docker.io/library/demo:1");
    bench.write("other.elf", Elf { entry: 0, ..Elf::aarch64(40_000) }.to_bytes());
    refused(&bench, &["--firmware", "other.elf"], "the entry point 0x0 is not in");
    refused(&bench, &["--delta"], "--firmware");
    assert_eq!(bench.inspect("images")["images"].as_array().unwrap().len(), 1);
}
