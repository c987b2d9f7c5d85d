//! What `pack` writes, seen with other eyes: Debian's tar, gzip, zstd and sha256sum, and `serde_json`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::elf::{ARM, Elf, X86_64};
use common::{Bench, blob, json};
use serde_json::Value;

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

/// The manifests of an unpacked layout, by platform.
fn manifests(layout: &Path) -> Vec<(String, Value)> {
    let entry = &json(layout.join("index.json"))["manifests"][0];
    let document = json(blob(layout, entry["digest"].as_str().unwrap()));
    let name = |platform: &Value| {
        let part = |key| platform[key].as_str().map(str::to_owned);
        [part("os"), part("architecture"), part("variant")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("/")
    };
    match document["manifests"].as_array() {
        None => vec![(name(&entry["platform"]), document)],
        Some(list) => list
            .iter()
            .map(|it| (name(&it["platform"]), json(blob(layout, it["digest"].as_str().unwrap()))))
            .collect(),
    }
}

/// The layer of the first manifest, unpacked by tar.
fn rootfs(bench: &Bench, layout: &Path) -> std::path::PathBuf {
    let digest = manifests(layout)[0].1["layers"][0]["digest"].as_str().unwrap().to_owned();
    let root = bench.path("rootfs");
    fs::create_dir(&root).unwrap();
    let status =
        Command::new("tar").arg("-xf").arg(blob(layout, &digest)).arg("-C").arg(&root).status().unwrap();
    assert!(status.success());
    root
}

#[test]
fn the_archive_is_a_layout_whose_blobs_are_named_by_their_digest() {
    let bench = bench();
    let digest = bench.pack(&[]);
    let layout = bench.untar("fw.tar", "layout");
    assert_eq!(json(layout.join("oci-layout"))["imageLayoutVersion"], "1.0.0");
    let entry = &json(layout.join("index.json"))["manifests"][0];
    assert_eq!(entry["digest"], *digest, "stdout names what the tag names");
    assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/fw:latest");
    assert_eq!(entry["annotations"]["org.opencontainers.image.ref.name"], "latest");
    let mut blobs = 0;
    for file in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let path = file.unwrap().path();
        let sum = Command::new("sha256sum").arg(&path).output().unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        assert_eq!(sum.split(' ').next().unwrap(), path.file_name().unwrap().to_str().unwrap());
        blobs += 1;
    }
    // An index, a manifest and a config for each of three hosts, one layer.
    assert_eq!(blobs, 1 + 3 + 3 + 1);
}

/// Docker before 25, crane and `skopeo docker-archive:` read it. crane takes an archive with one image only.
#[test]
fn the_archive_is_docker_s_for_its_first_platform() {
    let bench = bench();
    bench.pack(&["-t", "example.org/fw:2"]);
    let layout = bench.untar("fw.tar", "layout");
    let docker = json(layout.join("manifest.json"));
    assert_eq!(docker.as_array().unwrap().len(), 1);
    assert_eq!(docker[0]["RepoTags"], serde_json::json!(["example.org/fw:2"]));
    let (platform, manifest) = manifests(&layout).remove(0);
    let path = |digest: &Value| format!("blobs/{}", digest.as_str().unwrap().replace(':', "/"));
    assert_eq!(platform, "linux/amd64");
    assert_eq!(docker[0]["Config"], *path(&manifest["config"]["digest"]));
    assert_eq!(docker[0]["Layers"], serde_json::json!([path(&manifest["layers"][0]["digest"])]));
}

#[test]
fn the_rootfs_holds_the_firmware_its_conf_and_the_record() {
    let bench = bench();
    bench.pack(&["--os", "freertos"]);
    let layout = bench.untar("fw.tar", "layout");
    let root = rootfs(&bench, &layout);
    assert_eq!(fs::read(root.join("firmware.elf")).unwrap(), bench.read("fw.elf"));
    let conf = fs::read_to_string(root.join("client.conf")).unwrap().replace(" = ", "=");
    for line in ["Name=fw", "ClientPath=/firmware.elf", "Pedestal=qemu", "container.os=freertos"] {
        assert!(conf.lines().any(|it| it == line), "{line} in\n{conf}");
    }
    let record = fs::read(root.join(".micrun/records/0000.json")).unwrap();
    let layer = &manifests(&layout)[0].1["layers"][0];
    fs::write(bench.path("record"), record).unwrap();
    let sum = Command::new("sha256sum").arg(bench.path("record")).output().unwrap();
    let sum = format!("sha256:{}", String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap());
    assert_eq!(layer["annotations"]["org.openeuler.micrun.layer.record"], *sum);
}

#[test]
fn the_config_lets_a_kubelet_and_an_unpacker_accept_it() {
    let bench = bench();
    bench.pack(&["--label", "team=motors", "--annotation", "org.example.k=v", "--compression", "none"]);
    let layout = bench.untar("fw.tar", "layout");
    for (platform, manifest) in manifests(&layout) {
        let config = json(blob(&layout, manifest["config"]["digest"].as_str().unwrap()));
        assert_eq!(config["config"]["Cmd"], serde_json::json!(["/firmware.elf"]));
        assert_eq!(config["config"]["Labels"]["team"], "motors");
        assert_eq!(manifest["annotations"]["org.example.k"], "v");
        assert_eq!(format!("linux/{}", config["architecture"].as_str().unwrap()), platform);
        assert_eq!(
            config["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"],
            "uncompressed: the same"
        );
        assert_eq!(config["history"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn two_packs_are_alike_to_the_bit_whoever_makes_them_when() {
    for compression in ["gzip", "zstd", "none"] {
        let (one, two) = (bench(), bench());
        fs::set_permissions(two.path("fw.elf"), Permissions::from_mode(0o600)).unwrap();
        let args = ["--compression", compression, "--label", "b=2", "--label", "a=1", "--annotation", "x=y"];
        assert_eq!(one.pack(&args), two.pack(&args));
        assert_eq!(one.read("fw.tar"), two.read("fw.tar"), "{compression}");
    }
}

#[test]
fn source_date_epoch_is_the_only_time_in_the_image() {
    let bench = bench();
    let at = |epoch: &str| {
        let output = bench.command(["pack", "fw.elf"]).env("SOURCE_DATE_EPOCH", epoch).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (_, zero, _) = at("0");
    assert_eq!(zero.trim_end(), bench.pack(&[]), "0 when not set");
    let (_, later, _) = at("1700000000");
    assert_ne!(zero, later);
    let layout = bench.untar("fw.tar", "layout");
    let (_, manifest) = manifests(&layout).remove(0);
    let config = json(blob(&layout, manifest["config"]["digest"].as_str().unwrap()));
    assert_eq!(config["created"], "2023-11-14T22:13:20Z");
    for archive in [bench.path("fw.tar"), blob(&layout, manifest["layers"][0]["digest"].as_str().unwrap())] {
        let mut list = Command::new("tar");
        list.args(["--full-time", "--utc", "--numeric-owner", "-tvf"]).arg(archive);
        let list = String::from_utf8(list.output().unwrap().stdout).unwrap();
        assert!(list.lines().count() > 3);
        for line in list.lines() {
            assert!(line.contains(" 0/0 ") && line.contains("2023-11-14 22:13:20"), "{line}");
        }
    }
    for wrong in ["", "tomorrow", "-1", "99999999999999"] {
        let (status, _, stderr) = at(wrong);
        assert_eq!(status, Some(2));
        assert!(stderr.contains("SOURCE_DATE_EPOCH") && stderr.contains("seconds since 1970"), "{stderr}");
    }
}

#[test]
fn each_compression_is_what_its_media_type_says() {
    let bench = bench();
    let cases = [
        ("gzip", "application/vnd.oci.image.layer.v1.tar+gzip", Some("gzip")),
        ("zstd", "application/vnd.oci.image.layer.v1.tar+zstd", Some("zstd")),
        ("none", "application/vnd.oci.image.layer.v1.tar", None),
    ];
    let mut diffs = Vec::new();
    for (compression, media_type, tool) in cases {
        bench.pack(&["--compression", compression]);
        let layout = bench.untar("fw.tar", compression);
        let (_, manifest) = manifests(&layout).remove(0);
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], media_type);
        let stored = blob(&layout, layer["digest"].as_str().unwrap());
        assert_eq!(layer["size"], fs::metadata(&stored).unwrap().len());
        let tar = match tool {
            Some(tool) => {
                Command::new(tool).arg("-dc").stdin(fs::File::open(&stored).unwrap()).output().unwrap().stdout
            }
            None => fs::read(&stored).unwrap(),
        };
        bench.write("layer", &tar);
        let sum = Command::new("sha256sum").arg(bench.path("layer")).output().unwrap();
        let config = json(blob(&layout, manifest["config"]["digest"].as_str().unwrap()));
        let diff = config["rootfs"]["diff_ids"][0].as_str().unwrap().to_owned();
        assert_eq!(
            diff,
            format!("sha256:{}", String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap())
        );
        diffs.push(diff);
    }
    assert!(diffs.windows(2).all(|pair| pair[0] == pair[1]), "the content does not depend on compression");
}

#[test]
fn hosts_come_from_the_pedestal_the_elf_or_the_caller() {
    let bench = bench();
    let platforms = |name: &str, args: &[&str]| {
        bench.pack(&[args, &["-o", &format!("{name}.tar")]].concat());
        let layout = bench.untar(&format!("{name}.tar"), name);
        manifests(&layout).into_iter().map(|(platform, _)| platform).collect::<Vec<_>>()
    };
    assert_eq!(platforms("qemu", &[]), ["linux/amd64", "linux/arm64", "linux/riscv64"]);
    assert_eq!(
        platforms("own", &["--platform", "linux/arm/v7", "--platform", "linux/amd64"]),
        ["linux/arm/v7", "linux/amd64"]
    );
    let table = Elf { resource_table: true, ..Elf::aarch64(100) };
    bench.write("fw.elf", table.to_bytes());
    assert_eq!(platforms("table", &[]), ["linux/arm64"], "a resource table means baremetal");
    assert_eq!(platforms("microvm", &["--pedestal", "qemu"]).len(), 3);
}

/// The rule is micad's own: whoever packs hears of it, not whoever creates a client from the file.
#[test]
fn a_name_that_micad_refuses_is_refused() {
    let bench = bench();
    for name in ["two words", "a/b", "mica-create", ""] {
        let ran = bench.run(["pack", "fw.elf", "--name", name]);
        assert_eq!(ran.status, 3, "{name:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("Name"), "{}", ran.stderr);
    }
    bench.write("my.conf", "[Mica]\nName = two words\n");
    let ran = bench.run(["pack", "fw.elf", "--client-conf", "my.conf"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains("line 2") && ran.stderr.contains("two words"), "{}", ran.stderr);
    // A file's name is not the user's word for the client.
    bench.write("My App.elf", bench.read("fw.elf"));
    assert_eq!(bench.run(["pack", "My App.elf", "-o", "app"]).status, 0);
    let conf = fs::read_to_string(rootfs(&bench, &bench.path("app")).join("client.conf")).unwrap();
    assert!(conf.contains("Name = My_App\n"), "{conf}");
}

#[test]
fn a_given_client_conf_keeps_its_values_and_gets_the_image_s_path() {
    let bench = bench();
    bench.write(
        "my.conf",
        "[Mica]\nname = motor\nClientPath = /lib/firmware/old.elf\nMemory = 96\n[Qemu]\nCPU = cortex-a72\n",
    );
    let ran = bench.run(["pack", "fw.elf", "--client-conf", "my.conf", "-o", "out", "--pedestal", "qemu"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("/lib/firmware/old.elf"), "the change is told: {}", ran.stderr);
    let conf = fs::read_to_string(rootfs(&bench, &bench.path("out")).join("client.conf"))
        .unwrap()
        .replace(" = ", "=");
    for line in ["Name=motor", "ClientPath=/firmware.elf", "Memory=96", "CPU=cortex-a72", "Pedestal=qemu"] {
        assert!(conf.lines().any(|it| it == line), "{line} in\n{conf}");
    }
    bench.write("bad.conf", "[Mica]\nName = motor\nMemory = lots\n");
    let ran = bench.run(["pack", "fw.elf", "--client-conf", "bad.conf"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains("bad.conf") && ran.stderr.contains("Memory"), "{}", ran.stderr);
}

#[test]
fn what_is_refused_leaves_nothing_behind() {
    let bench = bench();
    bench.write("text.elf", "no ELF at all");
    bench.write("empty.elf", "");
    bench.write("x86.elf", Elf { machine: X86_64, ..Elf::aarch64(64) }.to_bytes());
    bench.write("entry.elf", Elf { entry: 0x10, ..Elf::aarch64(64) }.to_bytes());
    bench.write("object.elf", Elf { kind: 1, ..Elf::aarch64(64) }.to_bytes());
    bench.write("arm64.elf", Elf { machine: ARM, ..Elf::aarch64(64) }.to_bytes());
    let mut cut = Elf::aarch64(5000).to_bytes();
    cut.truncate(1000);
    bench.write("cut.elf", cut);
    let before = bench.files();
    let refused: [(&[&str], i32, &str); 19] = [
        (&["text.elf"], 3, "text.elf"),
        (&["empty.elf"], 3, "empty.elf"),
        (&["x86.elf"], 3, "x86"),
        (&["entry.elf"], 3, "entry"),
        (&["object.elf"], 3, "object.elf"),
        (&["arm64.elf"], 3, "arm64.elf"),
        (&["cut.elf"], 3, "cut.elf"),
        (&["missing.elf"], 1, "missing.elf"),
        (&["/dev/zero"], 3, "regular file"),
        (&["fw.elf", "--pedestal", "hetero"], 3, "resource_table"),
        (&["fw.elf", "--os", "My OS"], 2, "zephyr"),
        (&["fw.elf", "--annotation", "org.openeuler.micrun.container.auto_close_timeout=soon"], 3, "soon"),
        (
            &["fw.elf", "--annotation", "org.openeuler.micrun.container.firmware_path=other.elf"],
            3,
            "other.elf",
        ),
        (&["fw.elf", "-t", "Upper/Case:1"], 2, "lower case"),
        (&["fw.elf", "--platform", "linux"], 2, "OS/ARCH"),
        (&["fw.elf", "--platform", "linux/amd65"], 2, "amd64, arm, arm64"),
        (&["fw.elf", "--platform", "linux/arm/v9"], 2, "v5, v6, v7, v8"),
        (&["fw.elf", "--platform", "linux/riscv64/v1"], 2, "the variants of riscv64 are none"),
        (&["fw.elf", "--platform", "windows/amd64"], 2, "linux only"),
    ];
    for (args, status, says) in refused {
        let ran = bench.run(["pack"].iter().chain(args));
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
        assert_eq!(bench.files(), before, "{args:?}");
    }
}

#[test]
fn an_archive_is_replaced_only_by_a_whole_one() {
    let bench = bench();
    bench.pack(&["-t", "first:1"]);
    let first = bench.read("fw.tar");
    bench.write("fw.elf", "broken");
    assert_eq!(bench.run(["pack", "fw.elf"]).status, 3);
    assert_eq!(bench.read("fw.tar"), first);
    assert_eq!(bench.run(["pack", "fw.tar"]).status, 2, "an archive is not written over its own firmware");
    assert_eq!(bench.read("fw.tar"), first);
}

#[test]
fn a_layout_directory_takes_further_images_and_nothing_else_is_overwritten() {
    let bench = bench();
    let one = bench.pack(&["-o", "images", "-t", "example.org/a:1"]);
    let two = bench.pack(&["-o", "images", "-t", "example.org/b:1", "--os", "zephyr"]);
    let again = bench.pack(&["-o", "images", "-t", "example.org/a:1", "--os", "freertos"]);
    let named = |layout: &str| -> Vec<(String, String)> {
        let index = json(bench.path(layout).join("index.json"));
        let mut list: Vec<_> = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| {
                let name = it["annotations"]["io.containerd.image.name"].as_str().unwrap();
                (name.to_owned(), it["digest"].as_str().unwrap().to_owned())
            })
            .collect();
        list.sort();
        list
    };
    assert_ne!(one, again);
    assert_eq!(named("images"), [("example.org/a:1".to_owned(), again), ("example.org/b:1".to_owned(), two)]);
    assert_eq!(bench.files(), ["fw.elf", "images"]);
    assert_eq!(fs::read_dir(bench.path("images")).unwrap().count(), 3, "blobs, index.json, oci-layout");

    fs::create_dir(bench.path("home")).unwrap();
    bench.write("home/letter", "dear");
    for output in ["home", "fw.elf"] {
        let ran = bench.run(["pack", "fw.elf", "-o", output]);
        assert_eq!(ran.status, 2, "{}", ran.stderr);
    }
    assert_eq!(bench.read("home/letter"), b"dear");
    fs::create_dir(bench.path("dir.tar")).unwrap();
    assert_eq!(bench.run(["pack", "fw.elf", "-o", "dir.tar"]).status, 2);
}

#[test]
fn completions_and_manual_pages_come_from_the_same_definition() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish"] {
        let ran = bench.run(["completions", shell]);
        assert_eq!(ran.status, 0);
        assert!(ran.stdout.contains("--client-conf") || ran.stdout.contains("client-conf"), "{shell}");
    }
    assert_eq!(bench.run(["man", "man1"]).status, 0);
    let page = String::from_utf8(bench.read("man1/micrun-image-builder-pack.1")).unwrap();
    assert!(page.contains("client\\-conf"));
}
