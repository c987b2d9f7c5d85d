//! The file that xen, jailhouse and hetero want beside the firmware: packed, recorded, shown, checked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::elf::Elf;
use common::{Bench, blob, json};

/// The beginning of an arm64 kernel image, and something behind it.
fn kernel() -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    image
}

fn bench() -> Bench {
    let bench = Bench::with_firmware(&Elf { resource_table: true, ..Elf::aarch64(2000) }.to_bytes());
    bench.write("zephyr.bin", kernel());
    bench.write("fw.cell", b"JHCLL\x02 and what follows");
    bench.write("riscv.bin", b"anything");
    bench
}

#[test]
fn the_file_is_in_the_image_and_in_its_record() {
    for (pedestal, file) in [("xen", "zephyr.bin"), ("jailhouse", "fw.cell"), ("hetero", "riscv.bin")] {
        let bench = bench();
        bench.pack(&["--pedestal", pedestal, "--pedestal-conf", file]);
        let report = bench.inspect("fw.tar");
        let image = &report["images"][0];
        let beside = &image["firmware"]["pedestal_file"];
        assert_eq!(
            (&beside["path"], &beside["size"]),
            (&"/image.bin".into(), &bench.read(file).len().into())
        );
        assert_eq!(image["layers"][0]["record"]["files"], 3);
        let text = bench.run(["inspect", "fw.tar"]).stdout;
        assert!(text.contains("beside it  /image.bin"), "{text}");
        assert_eq!(image["platforms"][0]["platform"], "linux/arm64");
    }
}

#[test]
fn client_conf_names_it_where_it_is() {
    let bench = bench();
    bench.write("my.conf", "[Mica]\nName = guest\nPedestal = xen\nPedestalConf = /lib/firmware/zephyr.bin\n");
    let ran = bench.run([
        "pack",
        "fw.elf",
        "--client-conf",
        "my.conf",
        "--pedestal-conf",
        "zephyr.bin",
        "-o",
        "out",
    ]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("PedestalConf /lib/firmware/zephyr.bin becomes /image.bin"),
        "{}",
        ran.stderr
    );
    assert_eq!(bench.inspect("out")["images"][0]["firmware"]["pedestal_file"]["path"], "/image.bin");
}

#[test]
fn what_the_pedestal_would_refuse_is_refused() {
    let bench = bench();
    bench.write("empty", "");
    bench.write("system.cell", b"JHSYS\x02");
    let cases: [(&[&str], &str); 8] = [
        (&["--pedestal", "xen"], "--pedestal-conf"),
        (&["--pedestal", "jailhouse"], "the cell, a .cell"),
        (&["--pedestal", "xen", "--pedestal-conf", "fw.elf"], "header of an Arm kernel"),
        (&["--pedestal", "xen", "--pedestal-conf", "empty"], "it is empty"),
        (&["--pedestal", "jailhouse", "--pedestal-conf", "zephyr.bin"], "no jailhouse cell"),
        (&["--pedestal", "jailhouse", "--pedestal-conf", "system.cell"], "system configuration"),
        (&["--pedestal", "qemu", "--pedestal-conf", "zephyr.bin"], "omit --pedestal-conf"),
        (&["--pedestal", "xen", "--pedestal-conf", "/dev/zero"], "regular file"),
    ];
    for (args, says) in cases {
        let ran = bench.run(["pack", "fw.elf"].iter().chain(args));
        assert_eq!(ran.status, 3, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let ran = bench.run(["pack", "fw.elf", "--pedestal", "xen", "--pedestal-conf", "none"]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
}

/// An image that somebody else made is shown, with what will go wrong.
#[test]
fn a_file_that_will_not_do_is_told() {
    let bench = bench();
    bench.write("my.conf", "[Mica]\nName = guest\nPedestal = jailhouse\n");
    bench.pack(&["--client-conf", "my.conf", "--pedestal-conf", "fw.cell"]);
    let annotation = "org.openeuler.micrun.ped.pedestal=xen";
    let ran = bench.run(["inspect", "fw.tar", "--annotation", annotation]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("warning    /image.bin will not do for the pedestal xen"), "{}", ran.stdout);
}

#[test]
fn two_packs_are_alike_and_the_compression_does_not_matter() {
    let diff = |compression: &str| {
        let bench = bench();
        let args =
            ["--pedestal", "xen", "--pedestal-conf", "zephyr.bin", "-o", "out", "--compression", compression];
        bench.pack(&args);
        let index = json(bench.path("out/index.json"));
        let manifest = json(blob(&bench.path("out"), index["manifests"][0]["digest"].as_str().unwrap()));
        json(blob(&bench.path("out"), manifest["config"]["digest"].as_str().unwrap()))["rootfs"].clone()
    };
    assert_eq!(diff("gzip"), diff("none"));
    assert_eq!(diff("gzip"), diff("zstd"));
}
