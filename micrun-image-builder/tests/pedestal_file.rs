//! The file that xen, jailhouse and hetero want beside the firmware: packed, recorded, shown, checked.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::elf::{Elf, RISCV, elf32};
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

/// RISC-V firmware behind boot code of 4 MiB at most.
fn riscv() -> Bench {
    let bench = Bench::with_firmware(&elf32(RISCV, 0x8040_0000, 0x8040_0000, &[0x13; 64]));
    bench.write("sbi.bin", b"not an ELF");
    bench
}

#[test]
fn boot_code_is_in_the_image_and_named() {
    let bench = riscv();
    bench.pack(&["--bios", "sbi.bin"]);
    let report = bench.inspect("fw.tar");
    let image = &report["images"][0];
    let beside = &image["firmware"]["pedestal_file"];
    assert_eq!((&beside["path"], &beside["size"]), (&"/bios.bin".into(), &10.into()));
    assert_eq!(image["layers"][0]["record"]["files"], 3);
    let text = bench.run(["inspect", "fw.tar"]).stdout;
    assert!(text.contains("/bios.bin") && text.contains("Qemu.Bios"), "{text}");
}

#[test]
fn boot_code_that_will_not_do_is_refused() {
    let bench = riscv();
    bench.write("empty", "");
    bench.write("large", vec![0; (4 << 20) + 1]);
    bench.write("aarch64", Elf::aarch64(64).to_bytes());
    bench.write("high", elf32(RISCV, 0x8040_0000, 0x8040_0000, &[0; 4]));
    bench.write("my.conf", "[Mica]\nName = x\n[Qemu]\nBios = /opt/sbi.bin\n");
    let cases: [(&[&str], &str); 8] = [
        (&["--bios", "empty"], "it is empty"),
        (&["--bios", "large"], "more than the 4194304"),
        (&["--bios", "aarch64"], "it is for arm64"),
        (&["--bios", "high"], "not in the memory of boot code (0x80000000..0x80400000)"),
        (&["--bios", "/dev/zero"], "not a regular file"),
        (&["--bios", "sbi.bin", "--pedestal", "xen"], "omit --bios"),
        (&["--qemu", "Bios=/etc/passwd"], "names /etc/passwd, which the image would not have"),
        (&["--client-conf", "my.conf"], "give the file with --bios"),
    ];
    for (args, says) in cases {
        let ran = bench.run([&["pack", "fw.elf", "-o", "out.tar"], args].concat());
        assert_eq!(ran.status, 3, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    // Its processor begins in flash.
    let bench = Bench::with_firmware(&elf32(RISCV, 0x2040_0000, 0x2040_0000, &[0x13; 64]));
    bench.write("sbi.bin", b"not an ELF");
    let ran = bench.run(["pack", "fw.elf", "--machine", "sifive_e", "--bios", "sbi.bin"]);
    assert!(ran.stderr.contains("no boot code before its firmware"), "{}", ran.stderr);
}
