//! One image with a firmware for each of several boards, and further files of images.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use common::Bench;
use common::elf::Elf;

const BOARDS: &str = "version: 1
images:
  - tag: demo:1
    output: out.tar
    os: freertos
    memory: 48
    labels: {a: b}
    files:
      - {file: table.bin, path: /usr/share/table.bin, mode: 0755}
    boards:
      imx8mp:
        firmware: core.elf
        pedestal: baremetal
      qemu:
        firmware: fw.elf
        memory: 64
        qemu: {Consoles: 1}
";

fn bench() -> Bench {
    let bench = Bench::with_firmware(&Elf::aarch64(20_000).to_bytes());
    bench.write("core.elf", Elf::aarch64(9_000).to_bytes());
    bench.write("table.bin", "1 2 3");
    bench
}

/// An archive's layer, unpacked by Debian's tar.
fn layer(bench: &Bench, archive: &str) -> std::path::PathBuf {
    let digest = bench.inspect(archive)["images"][0]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let layout = bench.untar(archive, &format!("{archive}.layout"));
    fs::copy(common::blob(&layout, &digest), bench.path("layer.tar.gz")).unwrap();
    bench.untar("layer.tar.gz", &format!("{archive}.root"))
}

#[test]
fn each_board_has_a_firmware_and_a_client_conf_of_its_own() {
    let bench = bench();
    bench.write("micrun.yaml", BOARDS.replace("    memory: 48\n", ""));
    let ran = bench.run(["pack"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let report = bench.inspect("out.tar");
    let images = report["images"].as_array().unwrap();
    let facts: Vec<_> =
        images.iter().map(|it| (it["board"].as_str().unwrap(), &it["firmware"]["size"])).collect();
    let size = |name: &str| serde_json::json!(bench.read(name).len());
    assert_eq!(facts, [("imx8mp", &size("core.elf")), ("qemu", &size("fw.elf"))]);
    let setting = |image: usize, key: &str| {
        let rows = images[image]["settings"].as_array().unwrap();
        rows.iter().find(|row| row["key"] == key).map(|row| row["value"].clone())
    };
    assert_eq!(setting(0, "ped.pedestal"), Some("baremetal".into()));
    assert_eq!(
        (setting(1, "ped.pedestal"), setting(1, "Mica.Memory")),
        (Some("qemu".into()), Some(64.into()))
    );
    // What is so for both is said of the image, what is not is not.
    let labels = &images[0]["labels"];
    assert_eq!(labels["org.openeuler.micrun.image.boards"], "imx8mp qemu");
    assert_eq!(labels["org.openeuler.micrun.container.os"], "freertos");
    assert_eq!(labels["a"], "b");
    assert!(labels.get("org.openeuler.micrun.ped.pedestal").is_none(), "{labels}");
    assert!(labels.get("org.openeuler.micrun.container.firmware_hash").is_none(), "{labels}");
    let platforms: Vec<_> =
        images[0]["platforms"].as_array().unwrap().iter().map(|it| &it["platform"]).collect();
    assert_eq!(platforms, ["linux/arm64", "linux/amd64", "linux/riscv64"]);

    let root = layer(&bench, "out.tar");
    assert_eq!(fs::read(root.join(".micrun/boards/qemu/firmware.elf")).unwrap(), bench.read("fw.elf"));
    let table = root.join("usr/share/table.bin");
    assert_eq!(fs::metadata(&table).unwrap().permissions().mode() & 0o7777, 0o755);
    let text = ran.stdout;
    bench.run(["pack", "-o", "again.tar", "-q"]);
    assert_eq!(bench.read("out.tar"), bench.read("again.tar"), "{text}");
}

/// What the firmware of one board is refused for names the board.
#[test]
fn a_refusal_names_the_board() {
    let bench = bench();
    bench.write("core.elf", "no elf");
    bench.write("micrun.yaml", BOARDS);
    let ran = bench.run(["pack"]);
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert!(
        ran.stderr.contains("micrun.yaml:3: this image was not packed: the firmware for the board imx8mp"),
        "{ran:?}"
    );
    assert!(!bench.path("out.tar").exists());
}

#[test]
fn further_files_are_in_the_layer_and_in_its_record() {
    let bench = bench();
    bench.pack(&[
        "-o",
        "out.tar",
        "--add",
        "table.bin=etc/deep/table.bin",
        "--add=core.elf=/opt/run,mode=0700",
    ]);
    let record = &bench.inspect("out.tar")["images"][0]["layers"][0]["record"];
    assert_eq!((&record["files"], &record["verified"]), (&4.into(), &true.into()));
    let root = layer(&bench, "out.tar");
    assert_eq!(fs::read(root.join("etc/deep/table.bin")).unwrap(), b"1 2 3");
    assert_eq!(fs::metadata(root.join("opt/run")).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(root.join("etc/deep")).unwrap().permissions().mode() & 0o7777, 0o755);
}

/// What `append` is told of the image `demo:1` in `images`, in which two boards have one firmware.
fn append(bench: &Bench, args: &[&str]) -> common::Ran {
    bench.run([&["append", "images", "--firmware", "new.elf"], args].concat())
}

#[test]
fn the_firmware_of_one_board_is_replaced() {
    let bench = bench();
    let image = "version: 1\nimages:\n  - {tag: demo:1, output: images, os: freertos, updatable: true, \
                 boards: {one: {firmware: fw.elf}, two: {firmware: fw.elf}}}\n";
    bench.write("micrun.yaml", image);
    assert_eq!(bench.run(["pack"]).status, 0);
    let mut elf = Elf::aarch64(20_000);
    elf.content[100..110].copy_from_slice(b"for two...");
    bench.write("new.elf", elf.to_bytes());

    for (board, words) in [
        (&[][..], "say with --board whose firmware is replaced: one, two"),
        (&["--board", "three"], "the image has firmware for one, two"),
    ] {
        let ran = append(&bench, &[&["--image", "demo:1", "-t", "demo:2"], board].concat());
        assert!(ran.status == 2 && ran.stderr.contains(words), "{ran:?}");
    }
    for (tag, options) in [("demo:2", &[][..]), ("demo:3", &["--delta"])] {
        let ran = append(&bench, &[&["--image", "demo:1", "--board", "two", "-t", tag], options].concat());
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    // One delta upon the other, and the other board meanwhile.
    bench.write("new.elf", Elf::aarch64(9_000).to_bytes());
    for (base, board, tag) in [("demo:3", "two", "demo:4"), ("demo:4", "one", "demo:5")] {
        let ran = append(&bench, &["--image", base, "--board", board, "--delta", "-t", tag]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    let flatten = bench.run(["flatten", "images", "--image", "demo:4", "-t", "demo:flat"]);
    assert_eq!(flatten.status, 0, "{}", flatten.stderr);
    assert_eq!(bench.run(["verify", "images"]).status, 0);
    let report = bench.inspect("images");
    let firmware = |tag: &str, board: &str| {
        let name = format!("docker.io/library/{tag}");
        let images = report["images"].as_array().unwrap();
        let image = images.iter().find(|it| it["name"] == *name && it["board"] == board).unwrap();
        // What is no longer so for all boards is not said of the image.
        let is_one = image["labels"].get("org.openeuler.micrun.container.firmware_hash").is_some();
        assert_eq!(is_one, tag == "demo:1", "{tag}: {}", image["labels"]);
        image["firmware"]["sha256"].clone()
    };
    let old = firmware("demo:1", "one");
    assert_eq!(firmware("demo:2", "one"), old);
    assert_ne!(firmware("demo:2", "two"), old);
    assert_eq!(firmware("demo:3", "two"), firmware("demo:2", "two"));
    assert_eq!(firmware("demo:4", "one"), old);
    let new = firmware("demo:4", "two");
    assert_eq!((firmware("demo:5", "one"), firmware("demo:5", "two")), (new.clone(), new.clone()));
    assert_eq!((firmware("demo:flat", "one"), firmware("demo:flat", "two")), (old, new));

    bench.pack(&["-t", "single:1", "-o", "images"]);
    let ran = append(&bench, &["--image", "single:1", "--board", "two", "-t", "single:2"]);
    assert!(ran.status == 2 && ran.stderr.contains("the image has one firmware"), "{ran:?}");
}

#[test]
fn a_further_file_has_a_place_of_its_own() {
    let bench = bench();
    symlink("/dev/zero", bench.path("zero")).unwrap();
    for (file, status, word) in [
        ("table.bin=/firmware.elf", 2, "the image has the file /firmware.elf"),
        ("table.bin=client.conf/x", 2, "the image has the file /client.conf"),
        ("table.bin=.micrun/records/0000.json", 2, "/.micrun is for what describes the image"),
        ("table.bin=../up", 2, "write a path of the image"),
        ("table.bin=etc/.wh.a", 2, "delete files"),
        ("table.bin", 2, "FILE=PATH"),
        ("missing=a", 1, "missing"),
        ("zero=a", 3, "not a regular file"),
    ] {
        let ran = bench.run(["pack", "fw.elf", "-o", "out.tar", "--add", file]);
        assert!(ran.status == status && ran.stderr.contains(word), "{file}: {ran:?}");
        assert!(!bench.path("out.tar").exists(), "{file}");
    }
    let twice = bench.run(["pack", "fw.elf", "-o", "out.tar", "--add=table.bin=a", "--add=table.bin=a/b"]);
    assert!(twice.status == 2 && twice.stderr.contains("the image has the file /a;"), "{twice:?}");
}
