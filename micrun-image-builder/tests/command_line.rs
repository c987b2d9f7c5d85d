//! The command line as a whole: exit statuses, `--quiet`, `--verbose`, `--json`, the old program's options.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};

use common::elf::Elf;
use common::{Bench, blob, documented_statuses};
use serde_json::Value;

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

#[test]
fn each_command_has_the_exit_statuses_that_are_documented() {
    let bench = bench();
    bench.pack(&[]);
    bench.pack(&["-o", "damaged"]);
    bench.write("damaged/index.json", "{");
    bench.pack(&["-o", "incomplete", "--platform", "linux/arm64"]);
    let layer = bench.inspect("incomplete")["images"][0]["layers"][0]["digest"].clone();
    fs::remove_file(blob(&bench.path("incomplete"), layer.as_str().unwrap())).unwrap();
    bench.write("text.elf", "no ELF at all");
    let hash = format!("org.openeuler.micrun.container.firmware_hash={}", "0".repeat(64));
    let cases: [(&[&str], i32); 26] = [
        (&["pack", "fw.elf", "-o", "out.tar"], 0),
        (&["pack", "missing.elf"], 1),
        (&["pack", "fw.elf", "-o", "missing/out.tar"], 1),
        (&["pack", "fw.elf", "--platform", "linux/amd65"], 2),
        (&["pack", "text.elf"], 3),
        (&["pack", "fw.elf", "-o", "damaged"], 4),
        (&["init", "fw.elf"], 0),
        (&["init", "missing.elf"], 1),
        (&["init", "fw.elf"], 2),
        (&["init", "text.elf", "--force"], 3),
        (&["inspect", "fw.tar"], 0),
        (&["inspect", "missing.tar"], 1),
        (&["inspect", "fw.tar", "--no-such-option"], 2),
        (&["inspect", "fw.tar", "--annotation", &hash], 3),
        (&["inspect", "damaged"], 4),
        (&["inspect", "incomplete"], 6),
        (&["index", "-t", "a", "-o", "index.tar", "fw.tar"], 0),
        (&["index", "-t", "a", "-o", "index.tar", "missing.tar"], 1),
        (&["index", "-t", "a", "-o", "index.tar"], 2),
        (&["index", "-t", "a", "-o", "index.tar", "damaged"], 4),
        (&["index", "-t", "a", "-o", "index.tar", "incomplete"], 6),
        (&["completions", "bash"], 0),
        (&["completions", "no-such-shell"], 2),
        (&["man", "man1"], 0),
        (&["man", "fw.elf/man1"], 1),
        (&["man"], 2),
    ];
    let mut seen = BTreeSet::new();
    for (args, status) in cases {
        let ran = bench.run(args);
        assert_eq!(ran.status, status, "{args:?}: {ran:?}");
        assert_eq!(ran.stdout.is_empty(), status != 0 || args[0] == "man", "{args:?}");
        seen.insert((args[0].to_owned(), status));
    }
    // Results that cannot be written.
    for args in [&["completions", "bash"][..], &["pack", "fw.elf", "-o", "-"], &["inspect", "fw.tar"]] {
        let mut command = bench.command(args);
        let status = command.stdout(File::options().write(true).open("/dev/full").unwrap()).status().unwrap();
        assert_eq!(status.code(), Some(1), "{args:?}");
        seen.insert((args[0].to_owned(), 1));
    }
    assert_eq!(seen, documented_statuses("IMAGE_BUILDER.md"));
}

#[test]
fn quiet_says_nothing_but_the_result_and_verbose_names_each_blob() {
    let bench = bench();
    let usual = bench.run(["pack", "fw.elf"]);
    assert!(usual.stderr.contains("note: ") && usual.stderr.contains("wrote "), "{usual:?}");
    let quiet = bench.run(["pack", "fw.elf", "-q"]);
    assert_eq!((quiet.stderr.as_str(), quiet.stdout), ("", usual.stdout.clone()));
    let quiet = bench.run(["--quiet", "pack", "text.elf"]);
    assert!(quiet.status == 1 && quiet.stderr.contains("text.elf"), "errors are told: {quiet:?}");
    let verbose = bench.run(["pack", "fw.elf", "-v"]);
    // An index, a manifest and a config for each of three hosts, one layer.
    assert_eq!(verbose.stderr.lines().filter(|line| line.starts_with("blob sha256:")).count(), 8);
    let verbose = bench.run(["inspect", "fw.tar", "--verbose"]);
    assert_eq!(verbose.stderr.lines().filter(|line| line.starts_with("blob sha256:")).count(), 8);
    assert_eq!(bench.run(["pack", "fw.elf", "-q", "-v"]).status, 2);
}

#[test]
fn json_of_pack_says_what_json_of_inspect_says() {
    let bench = bench();
    let ran = bench.run(["pack", "fw.elf", "--json", "-t", "example.org/a:1"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let written = &report["image"];
    let image = &bench.inspect("fw.tar")["images"][0];
    for field in ["name", "digest", "platforms"] {
        assert_eq!(written[field], image[field], "{field}");
    }
    for field in ["digest", "size", "media_type", "diff_id"] {
        assert_eq!(written["layer"][field], image["layers"][0][field], "{field}");
    }
    assert_eq!(written["output"], "fw.tar");
    assert!(!report["notes"].as_array().unwrap().is_empty());
}

#[test]
fn the_name_of_the_file_is_in_no_image_that_has_a_name() {
    let bench = bench();
    bench.write("Other Name.elf", bench.read("fw.elf"));
    let one = bench.pack(&["-t", "example.org/motor:1"]);
    let two = bench.run(["pack", "Other Name.elf", "-t", "example.org/motor:1"]);
    assert_eq!(two.stdout.trim_end(), one);
    assert!(bench.read("fw.tar") == bench.read("Other Name.tar"));
}

#[test]
fn the_options_of_the_old_program_are_answered_with_ours() {
    let bench = bench();
    let old =
        "--pedestal xen --os zephyr --firmware fw.elf --xen-image=fw.bin --image-name a:1 --push --export .";
    let ran = bench.run(old.split(' '));
    assert_eq!(ran.status, 2);
    for hint in [
        "pack FIRMWARE",
        "--xen-image is an option of mica-image-builder.py; write `--pedestal-conf FILE`",
        "--tag NAME",
        "skopeo copy",
        "--output FILE.tar",
    ] {
        assert!(ran.stderr.contains(hint), "{hint} in {}", ran.stderr);
    }
    // What it said of platforms is understood.
    bench.pack(&["--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(bench.inspect("fw.tar")["images"][0]["platforms"].as_array().unwrap().len(), 2);
}

#[test]
fn help_lists_every_command() {
    let ran = bench().run(["--help"]);
    for command in ["pack", "inspect", "completions", "man"] {
        assert!(ran.stdout.lines().any(|line| line.trim_start().starts_with(command)), "{command}");
    }
}
