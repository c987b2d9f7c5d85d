//! `diff`, `flatten`, `records`, `unpack` and `verify` (`docs/UPDATES.md`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod diff;
mod flatten;
mod foreign;
mod records;
mod unpack;
mod verify;

use std::collections::BTreeSet;
use std::fs;

use common::elf::Elf;
use common::layout::manifest;
use common::{Bench, Ran, blob, documented_statuses};
use foreign::{CONF, foreign, regular};
use serde_json::Value;

const MESSAGE: &[u8] = b"another message";

/// `fw.elf`, `new.elf`, whose bytes 1000.. differ, and a layout `images` with `demo:1` made of the first one.
fn bench() -> Bench {
    let mut elf = Elf::aarch64(40_000);
    let bench = Bench::with_firmware(&elf.to_bytes());
    bench.pack(&["-t", "demo:1", "-o", "images", "--os", "freertos", "--updatable"]);
    elf.content[1000..1000 + MESSAGE.len()].copy_from_slice(MESSAGE);
    bench.write("new.elf", elf.to_bytes());
    bench
}

fn done(ran: Ran) -> String {
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.stdout
}

fn report(bench: &Bench, args: &[&str]) -> Value {
    serde_json::from_str(&done(bench.run(args.iter().chain(&["--json"])))).unwrap()
}

/// What inspect says of an image of `images`.
fn inspected(bench: &Bench, image: &str) -> Value {
    report(bench, &["inspect", "images", "--image", image])["images"][0].clone()
}

#[test]
fn each_verb_has_the_exit_statuses_that_are_documented() {
    let bench = bench();
    bench.pack(&["-t", "fw", "--os", "freertos"]);
    foreign(&bench, "refused", &[&[("client.conf", regular(CONF)), ("no\nrecord", regular(b"lists it"))]]);
    let incomplete = foreign(&bench, "incomplete", &[&[("client.conf", regular(CONF))]]);
    let (_, document) = manifest(&incomplete);
    fs::remove_file(blob(&incomplete, document["layers"][0]["digest"].as_str().unwrap())).unwrap();
    foreign(
        &bench,
        "doubtful",
        &[&[("client.conf", regular(CONF)), ("firmware.elf", regular(&bench.read("fw.elf")))]],
    );
    bench.pack(&["-o", "damaged"]);
    bench.write("damaged/index.json", "{");

    let mut seen = BTreeSet::new();
    for (status, image) in
        [(0, "fw.tar"), (1, "missing.tar"), (3, "refused"), (4, "damaged"), (6, "incomplete")]
    {
        let rebuild = if status == 3 { "records IMAGE --rebuild -t r" } else { "records IMAGE" };
        for words in
            ["diff IMAGE fw.tar", "verify IMAGE", rebuild, "flatten IMAGE -t flat", "unpack IMAGE out"]
        {
            let args: Vec<_> = words.split(' ').map(|it| if it == "IMAGE" { image } else { it }).collect();
            // What is in it may be anything.
            if (args[0], status) == ("unpack", 3) {
                continue;
            }
            let ran = bench.run(&args);
            assert_eq!(ran.status, status, "{args:?}: {ran:?}");
            assert_eq!(ran.stdout.is_empty(), status != 0, "{args:?}");
            seen.insert((args[0].to_owned(), status));
        }
    }
    for args in
        ["diff fw.tar --no", "verify", "records fw.tar --rebuild", "flatten fw.tar", "unpack fw.tar images"]
    {
        let args: Vec<_> = args.split(' ').collect();
        assert_eq!(bench.run(&args).status, 2, "{args:?}");
        seen.insert((args[0].to_owned(), 2));
    }
    assert_eq!(bench.run(["verify", "doubtful"]).status, 0);
    assert_eq!(bench.run(["verify", "doubtful", "--strict"]).status, 7);
    seen.insert(("verify".to_owned(), 7));
    assert_eq!(seen, documented_statuses("UPDATES.md"));
}
