//! What `inspect` says of images that are in order, and of such that are not.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::elf::Elf;
use common::layout::{manifest, set_manifest, store};
use common::{Bench, Ran, blob, json};
use serde_json::{Value, json};

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

#[test]
fn an_image_is_read_back_from_every_form() {
    let bench = bench();
    for (index, compression) in ["gzip", "zstd", "none"].iter().enumerate() {
        for output in [format!("{index}.tar"), format!("{index}")] {
            let digest = bench.pack(&["-o", &output, "--compression", compression, "-t", "example.org/fw:2"]);
            let report = bench.inspect(&output);
            let image = &report["images"][0];
            assert_eq!(image["digest"], *digest);
            assert_eq!(image["name"], "example.org/fw:2");
            assert_eq!(image["runtime"], "firmware");
            assert_eq!(image["firmware"]["path"], "/firmware.elf");
            assert_eq!(image["firmware"]["size"], bench.read("fw.elf").len());
            assert_eq!(image["layers"][0]["record"]["verified"], true);
            assert_eq!(
                image["platforms"].as_array().unwrap().iter().map(|it| &it["platform"]).collect::<Vec<_>>(),
                ["linux/amd64", "linux/arm64", "linux/riscv64"]
            );
        }
    }
}

/// The value of a setting, and where it came from.
fn setting(report: &Value, key: &str) -> (Value, String) {
    let settings = report["images"][0]["settings"].as_array().unwrap();
    let found =
        settings.iter().find(|it| it["key"] == key).unwrap_or_else(|| panic!("{key} in {settings:?}"));
    (found["value"].clone(), found["from"].as_str().unwrap().to_owned())
}

#[test]
fn effective_values_name_their_origin() {
    let bench = bench();
    bench.pack(&["--os", "zephyr"]);
    let report = bench.inspect("fw.tar");
    assert_eq!(setting(&report, "container.os"), (json!("zephyr"), "client.conf".to_owned()));
    assert_eq!(setting(&report, "ped.pedestal"), (json!("qemu"), "client.conf".to_owned()));
    assert_eq!(setting(&report, "container.auto_close_timeout").1, "default");
    assert_eq!(setting(&report, "Mica.Memory"), (json!(64), "client.conf".to_owned()));
    assert_eq!(setting(&report, "Qemu.Machine"), (json!("virt,gic-version=3"), "client.conf".to_owned()));
    assert_eq!(setting(&report, "runtime.static_resource"), (json!(false), "default".to_owned()));
    let key = "org.openeuler.micrun.container.os=freertos";
    let ran = bench.run(["inspect", "--json", "fw.tar", "--annotation", key]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(setting(&report, "container.os"), (json!("freertos"), "annotation".to_owned()));
}

#[test]
fn an_annotation_given_to_pack_reaches_the_shim_through_the_rootfs() {
    let bench = bench();
    bench.pack(&["--annotation", "org.openeuler.micrun.container.auto_close_timeout=90"]);
    let (value, from) = setting(&bench.inspect("fw.tar"), "container.auto_close_timeout");
    assert_eq!((value, from.as_str()), (json!("1m 30s"), "client.conf"));
}

#[test]
fn a_core_has_neither_a_machine_nor_memory_to_choose() {
    let bench = Bench::with_firmware(&Elf { resource_table: true, ..Elf::aarch64(100) }.to_bytes());
    bench.pack(&[]);
    let report = bench.inspect("fw.tar");
    assert_eq!(setting(&report, "ped.pedestal").0, "baremetal");
    let settings = report["images"][0]["settings"].as_array().unwrap();
    let keys: Vec<_> = settings.iter().map(|row| row["key"].as_str().unwrap()).collect();
    assert!(keys.iter().all(|key| !key.starts_with("Mica.") && !key.starts_with("Qemu.")), "{keys:?}");
    // It needs permission, which an annotation of the container gives.
    let objection =
        |report: &serde_json::Value| report.to_string().contains("a host with the default policy refuses");
    assert!(objection(&report), "{report}");
    let asked = "--annotation=org.openeuler.micrun.ped.pedestal=baremetal";
    let report = bench.run(["inspect", "--json", asked, "fw.tar"]).stdout;
    assert!(!objection(&serde_json::from_str(&report).unwrap()), "{report}");
}

#[test]
fn people_get_sentences_on_stdout() {
    let bench = bench();
    let digest = bench.pack(&["--os", "zephyr"]);
    let ran = bench.run(["inspect", "fw.tar"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    for part in [
        &digest,
        "docker.io/library/fw:latest",
        "linux/riscv64",
        "aarch64",
        "zephyr",
        "qemu",
        "/firmware.elf",
    ] {
        assert!(ran.stdout.contains(part), "{part} in\n{}", ran.stdout);
    }
}

/// Packs a layout, lets `change` damage it, and inspects it.
fn damaged(change: impl FnOnce(&Bench, &Path)) -> Ran {
    let bench = bench();
    bench.pack(&["-o", "out", "--platform", "linux/arm64", "--compression", "none"]);
    change(&bench, &bench.path("out"));
    bench.run(["inspect", "out"])
}

fn layer(layout: &Path) -> PathBuf {
    blob(layout, manifest(layout).1["layers"][0]["digest"].as_str().unwrap())
}

/// Puts another layer into the image and corrects every digest above it, as a forger would.
fn forge(layout: &Path, layer_bytes: &[u8]) {
    let (_, mut document) = manifest(layout);
    let (digest, size) = store(layout, layer_bytes);
    document["layers"][0]["digest"] = digest.clone();
    document["layers"][0]["size"] = size;
    let mut config = json(blob(layout, document["config"]["digest"].as_str().unwrap()));
    config["rootfs"]["diff_ids"][0] = digest;
    let (digest, size) = store(layout, config.to_string().as_bytes());
    document["config"]["digest"] = digest;
    document["config"]["size"] = size;
    set_manifest(layout, &document);
}

#[test]
fn a_changed_blob_is_found() {
    let ran = damaged(|_, layout| {
        let path = layer(layout);
        let mut bytes = fs::read(&path).unwrap();
        // In the middle of the firmware.
        let at = bytes.len() - 8000;
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    });
    assert_eq!(ran.status, 4);
    assert!(ran.stderr.contains("digest"), "{}", ran.stderr);
    let ran = damaged(|_, layout| fs::remove_file(layer(layout)).unwrap());
    assert!(ran.status == 6 && ran.stderr.contains("missing"), "{ran:?}");
    let ran = damaged(|_, layout| fs::write(manifest(layout).0, "{}").unwrap());
    assert_eq!(ran.status, 4, "{ran:?}");
}

#[test]
fn a_layer_that_contradicts_its_record_is_found_though_all_digests_are_right() {
    let ran = damaged(|_, layout| {
        let mut bytes = fs::read(layer(layout)).unwrap();
        let at = bytes.len() - 8000;
        bytes[at] ^= 1;
        forge(layout, &bytes);
    });
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.stderr.contains("record") && ran.stderr.contains("firmware.elf"), "{}", ran.stderr);

    let ran = damaged(|bench, layout| {
        let root = bench.path("root");
        fs::create_dir(&root).unwrap();
        let path = layer(layout);
        assert!(Command::new("tar").arg("-xf").arg(&path).arg("-C").arg(&root).status().unwrap().success());
        fs::write(root.join("extra"), "smuggled in").unwrap();
        let tar = bench.path("forged.tar");
        assert!(
            Command::new("tar")
                .arg("-cf")
                .arg(&tar)
                .arg("-C")
                .arg(&root)
                .arg(".")
                .status()
                .unwrap()
                .success()
        );
        forge(layout, &fs::read(tar).unwrap());
    });
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.stderr.contains("extra"), "{}", ran.stderr);
}

#[test]
fn a_hostile_layer_writes_nothing_outside() {
    let bench = bench();
    bench.pack(&["-o", "out", "--platform", "linux/arm64", "--compression", "none"]);
    let out = bench.path("out");
    let outside = bench.path("outside");
    let mut tar = tar::Builder::new(Vec::new());
    let mut link = tar::Header::new_ustar();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    tar.append_link(&mut link, "door", bench.path("")).unwrap();
    let mut file = tar::Header::new_ustar();
    file.set_size(4);
    file.set_mode(0o644);
    tar.append_data(&mut file, "door/outside", &b"evil"[..]).unwrap();
    forge(&out, &tar.into_inner().unwrap());
    let ran = bench.run(["inspect", "out"]);
    assert!(!outside.exists());
    assert_eq!(ran.status, 4, "the layer has no record: {ran:?}");

    let mut tar = tar::Builder::new(Vec::new());
    let mut file = tar::Header::new_ustar();
    file.set_size(4);
    file.as_old_mut().name[..10].copy_from_slice(b"../outside");
    file.set_cksum();
    tar.append(&file, &b"evil"[..]).unwrap();
    forge(&out, &tar.into_inner().unwrap());
    let ran = bench.run(["inspect", "out"]);
    assert!(!outside.exists() && !bench.path("../outside").exists());
    assert_eq!(ran.status, 4, "the layer has no record: {ran:?}");
}

#[test]
fn links_and_doubled_files_do_not_slip_past_a_record() {
    let original = |layout: &Path| {
        let mut bytes = fs::read(layer(layout)).unwrap();
        // Without the two blocks that end a tar.
        bytes.truncate(bytes.len() - 1024);
        bytes
    };
    let ran = damaged(|_, layout| {
        let mut tar = tar::Builder::new(original(layout));
        let mut link = tar::Header::new_ustar();
        link.set_entry_type(tar::EntryType::Symlink);
        link.set_size(0);
        tar.append_link(&mut link, "firmware.elf", "client.conf").unwrap();
        forge(layout, &tar.into_inner().unwrap());
    });
    let reason = "its record says otherwise of \"/firmware.elf\"";
    assert!(ran.status == 4 && ran.stderr.contains(reason), "{ran:?}");
    let ran = damaged(|_, layout| {
        let mut tar = tar::Builder::new(original(layout));
        let mut file = tar::Header::new_ustar();
        file.set_size(4);
        file.set_mode(0o644);
        tar.append_data(&mut file, "./firmware.elf", &b"evil"[..]).unwrap();
        forge(layout, &tar.into_inner().unwrap());
    });
    assert!(ran.status == 4 && ran.stderr.contains("/firmware.elf"), "{ran:?}");
}

#[test]
fn what_a_shim_refuses_is_refused_with_its_words() {
    let bench = bench();
    bench.pack(&[]);
    let hash = format!("org.openeuler.micrun.container.firmware_hash={}", "0".repeat(64));
    let ran = bench.run(["inspect", "fw.tar", "--annotation", &hash]);
    assert!(ran.status == 3 && ran.stderr.contains("sha256 mismatch"), "{ran:?}");
}

#[test]
fn no_damage_makes_it_panic_or_leave_files() {
    let bench = bench();
    bench.pack(&["--platform", "linux/arm64"]);
    let whole = bench.read("fw.tar");
    fs::create_dir(bench.path("tmp")).unwrap();
    let mut found = 0;
    // A step that shares no factor with the tar's blocks: each hit is another field.
    for at in (0..whole.len()).step_by(whole.len() / 150 + 1) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x15;
        if at % 7 == 0 {
            bytes.truncate(at);
        }
        bench.write("bad.tar", &bytes);
        let mut command = bench.command(["inspect", "bad.tar"]);
        let ran = Ran::from(command.env("TMPDIR", bench.path("tmp")).output().unwrap());
        assert!(matches!(ran.status, 0 | 4), "byte {at}: {ran:?}");
        found += usize::from(ran.status == 4);
        assert_eq!(fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
    }
    // What is left over: padding, and times and owners in headers of the outer tar.
    assert!(found > 50, "{found} found");
}

#[test]
fn what_is_no_image_is_told_so() {
    let bench = bench();
    fs::create_dir(bench.path("empty")).unwrap();
    for (image, status) in [("fw.elf", 4), ("empty", 4), ("missing", 1)] {
        let ran = bench.run(["inspect", image]);
        assert_eq!(ran.status, status, "{ran:?}");
        assert!(ran.stderr.contains(image) && ran.stdout.is_empty(), "{ran:?}");
    }
}

/// skopeo, podman and others drop annotations of descriptors.
#[test]
fn a_record_without_its_annotation_is_found_by_its_path() {
    let bench = bench();
    bench.pack(&["-o", "out", "--platform", "linux/arm64"]);
    let out = bench.path("out");
    let (_, mut document) = manifest(&out);
    document["layers"][0].as_object_mut().unwrap().remove("annotations");
    set_manifest(&out, &document);
    let report = bench.inspect("out");
    let image = &report["images"][0];
    assert_eq!(image["layers"][0]["record"]["anchored"], false, "{report}");
    assert_eq!(image["layers"][0]["record"]["verified"], true, "{report}");
    assert!(image["warnings"].to_string().contains("nothing but the layer vouches"), "{report}");
}
