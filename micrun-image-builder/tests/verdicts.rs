//! What `inspect` says of an image that it cannot call in order: each verdict is the true one.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::elf::Elf;
use common::layout::{descriptor, edit_index, manifest, set_manifest};
use common::{Bench, Ran, blob, json as read};
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const DAMAGED: i32 = 4;
const NOT_HERE: i32 = 6;

/// A layout `out` with the image `fw`.
fn bench(args: &[&str]) -> (Bench, PathBuf) {
    let bench = Bench::with_firmware(&Elf::aarch64(20_000).to_bytes());
    bench.pack(&[&["-o", "out"], args].concat());
    let layout = bench.path("out");
    (bench, layout)
}

fn remove(layout: &Path, descriptor: &Value) {
    fs::remove_file(blob(layout, descriptor["digest"].as_str().unwrap())).unwrap();
}

/// Refused with this status, by an error that says this and does not speak of damage, unless it is one.
fn refused(ran: &Ran, status: i32, expected: &str) {
    assert_eq!(ran.status, status, "{ran:?}");
    assert!(ran.stderr.contains(expected) && ran.stdout.is_empty(), "{ran:?}");
    assert_eq!(ran.stderr.contains("damaged"), status == DAMAGED, "{ran:?}");
}

/// `ctr image export` leaves the index as it was and exports one platform.
#[test]
fn one_platform_of_an_index_is_enough() {
    let (bench, layout) = bench(&[]);
    let (_, index) = manifest(&layout);
    for descriptor in index["manifests"].as_array().unwrap() {
        if descriptor["platform"]["architecture"] != "arm64" {
            remove(&layout, descriptor);
        }
    }
    let report = bench.inspect("out");
    assert_eq!(report["images"].as_array().unwrap().len(), 1);
    assert_eq!(report["images"][0]["platforms"].as_array().unwrap().len(), 1);
    assert_eq!(report["images"][0]["platforms"][0]["platform"], "linux/arm64");
    let beside = report["beside"].as_array().unwrap();
    let of: Vec<_> = beside.iter().map(|it| (&it["platform"], &it["verdict"])).collect();
    let incomplete = json!("incomplete");
    assert_eq!(of, [(&json!("linux/amd64"), &incomplete), (&json!("linux/riscv64"), &incomplete)]);
    let text = bench.run(["inspect", "out"]).stdout;
    assert!(text.contains("not here") && text.contains("for linux/riscv64"), "{text}");

    let of = |platform: &str| bench.run(["inspect", "out", "--platform", platform]);
    assert_eq!(of("linux/arm64/v8").status, 0);
    refused(&of("linux/amd64"), NOT_HERE, "docker.io/library/fw:latest for linux/amd64: the blob");
    refused(&of("linux/s390x"), 2, "the image is for linux/amd64, linux/arm64, linux/riscv64");
}

#[test]
fn an_image_of_which_a_layer_is_missing_is_incomplete() {
    let (bench, layout) = bench(&["--platform", "linux/arm64"]);
    bench.pack(&["-o", "out", "-t", "whole:1", "--platform", "linux/arm64", "--label", "a=b"]);
    let whole = bench.inspect("out");
    assert_eq!(whole["images"].as_array().unwrap().len(), 2);
    let (path, _) = manifest(&layout);
    fs::remove_file(path).unwrap();
    refused(&bench.run(["inspect", "out"]), NOT_HERE, "is incomplete here: docker.io/library/fw:latest");
    // The other one is whole.
    assert_eq!(bench.run(["inspect", "out", "--image", "whole:1"]).status, 0);
    refused(
        &bench.run(["inspect", "out", "--image", "none"]),
        2,
        "there is none of that name, but: docker.io/",
    );
}

/// A manifest with this config and this layer.
fn artifact(layout: &Path, config: &str, layer: &str, artifact_type: Option<&str>) -> Value {
    let layer = descriptor(layout, layer, format!("about the image: {layer}").as_bytes());
    let content: &[u8] = match config {
        CONFIG => br#"{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":["sha256:0"]}}"#,
        _ => b"{}",
    };
    let config = descriptor(layout, config, content);
    let mut manifest =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]});
    if let Some(artifact_type) = artifact_type {
        manifest["artifactType"] = json!(artifact_type);
    }
    descriptor(layout, MANIFEST, manifest.to_string().as_bytes())
}

#[test]
fn signatures_and_sboms_beside_an_image_are_artifacts() {
    let (bench, layout) = bench(&["--platform", "linux/arm64"]);
    let of_cosign = artifact(&layout, CONFIG, "application/vnd.dev.cosign.simplesigning.v1+json", None);
    let sbom = artifact(&layout, EMPTY, "application/spdx+json", Some("application/spdx+json"));
    let other = descriptor(&layout, "application/vnd.example.blob", b"anything");
    edit_index(&layout, |index| {
        for entry in [&of_cosign, &sbom, &other] {
            index["manifests"].as_array_mut().unwrap().push(entry.clone());
        }
    });
    let report = bench.inspect("out");
    assert_eq!(report["images"].as_array().unwrap().len(), 1, "{report}");
    let beside: Vec<_> = report["beside"].as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
    assert_eq!(beside, ["artifact", "artifact", "artifact"]);
    assert_eq!(report["beside"][1]["reason"], "application/spdx+json");

    // Parts of them are missing, which the image does not need.
    remove(&layout, &other);
    let signature = read(blob(&layout, of_cosign["digest"].as_str().unwrap()));
    remove(&layout, &signature["layers"][0]);
    let beside = bench.inspect("out")["beside"].clone();
    let verdicts: Vec<_> = beside.as_array().unwrap().iter().map(|it| &it["verdict"]).collect();
    assert_eq!(verdicts, ["incomplete", "artifact", "incomplete"]);
    // Nothing but artifacts is no image.
    edit_index(&layout, |index| drop(index["manifests"].as_array_mut().unwrap().remove(0)));
    let ran = bench.run(["inspect", "out"]);
    assert!(ran.status == 4 && ran.stderr.contains("is an artifact of the type"), "{ran:?}");
    assert!(!ran.stderr.contains("damaged"), "{ran:?}");
    // A changed byte is damage, in an artifact as well.
    fs::write(blob(&layout, sbom["digest"].as_str().unwrap()), b"{}").unwrap();
    refused(&bench.run(["inspect", "out"]), DAMAGED, "sha256:");
}

/// What is attached counts as the image does: a part that is named a hundred times is read a hundred times.
#[test]
fn artifacts_beside_an_image_are_read_within_its_budget() {
    const LARGE: usize = 4 << 20;
    let (bench, layout) = bench(&["--platform", "linux/arm64"]);
    let part = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let layer = descriptor(&layout, part, &vec![b' '; LARGE]);
    let config = descriptor(&layout, EMPTY, b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "artifactType": part,
        "layers": vec![layer; 100],
    });
    let artifact = descriptor(&layout, MANIFEST, manifest.to_string().as_bytes());
    edit_index(&layout, |index| index["manifests"].as_array_mut().unwrap().push(artifact));
    refused(&bench.run(["inspect", "out"]), NOT_HERE, "it has too many bytes of manifests");
}

/// `BuildKit` lists what it attests beside the image; exports leave it out.
#[test]
fn an_attestation_may_be_missing() {
    let (bench, layout) = bench(&[]);
    let (_, mut index) = manifest(&layout);
    let mut attestation = artifact(&layout, CONFIG, "application/vnd.in-toto+json", None);
    attestation["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    index["manifests"].as_array_mut().unwrap().push(attestation.clone());
    set_manifest(&layout, &index);
    let verdict = || bench.inspect("out")["beside"][0]["verdict"].clone();
    assert_eq!(verdict(), "artifact");
    remove(&layout, &attestation);
    assert_eq!(verdict(), "incomplete");
}

#[test]
fn what_only_others_can_unpack_is_not_damaged() {
    for (media_type, expected) in [
        ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", "is encrypted"),
        ("application/vnd.oci.image.layer.v1.tar+lz4", "which containerd does not unpack"),
    ] {
        let (bench, layout) = bench(&["--platform", "linux/arm64"]);
        let (_, mut document) = manifest(&layout);
        document["layers"][0]["mediaType"] = json!(media_type);
        set_manifest(&layout, &document);
        let ran = bench.run(["inspect", "out"]);
        refused(&ran, NOT_HERE, "the image cannot be read here: docker.io/library/fw:latest");
        assert!(ran.stderr.contains(expected), "{ran:?}");
        // A blob that is not the one of the digest is damaged all the same.
        fs::write(blob(&layout, document["layers"][0]["digest"].as_str().unwrap()), b"x").unwrap();
        refused(&bench.run(["inspect", "out"]), DAMAGED, "sha256:");
    }
}

#[test]
fn an_image_of_linux_is_in_order() {
    let (bench, layout) = bench(&["--platform", "linux/arm64"]);
    let (_, mut document) = manifest(&layout);
    let tar = descriptor(&layout, "application/vnd.oci.image.layer.v1.tar", &[0; 1024]);
    let config = json!({
        "architecture": "arm64", "os": "linux", "config": {"Cmd": ["/init"]},
        "rootfs": {"type": "layers", "diff_ids": [tar["digest"]]},
    });
    document["config"] = descriptor(&layout, CONFIG, config.to_string().as_bytes());
    document["layers"] = json!([tar]);
    set_manifest(&layout, &document);
    let image = &bench.inspect("out")["images"][0];
    assert_eq!(image["runtime"], "linux");
    assert!(image["warnings"].to_string().contains("a shim starts an ordinary container"), "{image}");
}

/// The program with a limit of the shell's, whose signal is ignored.
fn limited(bench: &Bench, limit: &str, image: &str) -> Ran {
    let mut command = std::process::Command::new("sh");
    let script = format!("trap '' XFSZ; ulimit {limit}; exec \"$0\" inspect \"$1\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_micrun-image-builder"), image]);
    Ran::from(command.current_dir(bench.path("")).output().unwrap())
}

/// A full disk, too few descriptors: nobody may throw the image away for it.
#[test]
fn a_fault_of_the_machine_is_no_fault_of_the_image() {
    let (bench, _) = bench(&[]);
    bench.pack(&["-o", "fw.tar.zst"]);
    for image in ["out", "fw.tar.zst"] {
        assert_eq!(limited(&bench, "-f 100000", image).status, 0);
        // Blocks of 512 bytes: no file that is written may be larger.
        let ran = limited(&bench, "-f 1", image);
        assert!(ran.status == 1 && !ran.stderr.contains("damaged"), "{ran:?}");
    }
    let mut faults = 0;
    for descriptors in 4..20 {
        let ran = limited(&bench, &format!("-n {descriptors}"), "out");
        assert!(matches!(ran.status, 0 | 1) && !ran.stderr.contains("damaged"), "{descriptors}: {ran:?}");
        faults += usize::from(ran.status == 1);
    }
    assert!(faults > 0);
    let mut command = bench.command(["inspect", "fw.tar.zst"]);
    let ran = Ran::from(command.env("TMPDIR", bench.path("none")).output().unwrap());
    assert!(ran.status == 1 && ran.stderr.contains("none"), "{ran:?}");
}

/// Two thousand names of one image were two thousand images to read.
#[test]
fn a_layer_is_read_once_whatever_names_it() {
    const NAMES: usize = 2000;
    let (bench, layout) = bench(&[]);
    edit_index(&layout, |index| {
        let entry = index["manifests"][0].clone();
        index["manifests"] = (0..NAMES)
            .map(|number| {
                let mut entry = entry.clone();
                entry["annotations"]["io.containerd.image.name"] = json!(format!("localhost/{number}:1"));
                entry["annotations"]["org.opencontainers.image.ref.name"] = json!(format!("{number}"));
                entry
            })
            .collect();
    });
    let ran = bench.run(["inspect", "-v", "--json", "out"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["images"].as_array().unwrap().len(), NAMES);
    let layer = report["images"][0]["layers"][0]["digest"].as_str().unwrap();
    assert_eq!(ran.stderr.lines().filter(|line| line.contains(layer)).count(), 1);
}

#[test]
fn no_text_of_an_image_makes_a_line_of_its_own() {
    const FORGED: &str = "x\n  digest     sha256:0000 \u{1b}[2J\u{202e}";
    let (bench, layout) = bench(&["--platform", "linux/arm64"]);
    let (_, mut document) = manifest(&layout);
    document["annotations"]["org.openeuler.micrun.container.os"] = json!(FORGED);
    document["layers"][0]["annotations"] = json!({});
    set_manifest(&layout, &document);
    let mut beside = descriptor(&layout, "application/vnd.example", b"anything");
    beside["mediaType"] = json!(FORGED);
    edit_index(&layout, |index| {
        index["manifests"][0]["annotations"] = json!({"io.containerd.image.name": FORGED});
        index["manifests"].as_array_mut().unwrap().push(beside);
    });
    let forged = |text: &str| {
        text.contains(['\u{1b}', '\u{202e}'])
            || text.lines().any(|line| line.starts_with("  digest     sha256:0000"))
    };
    let ran = bench.run(["inspect", "out"]);
    assert!(ran.status == 0 && ran.stdout.contains("x\\n  digest"), "{ran:?}");
    assert!(!forged(&ran.stdout) && !forged(&ran.stderr), "{ran:?}");
    edit_index(&layout, |index| {
        index["manifests"][0]["digest"] = json!(format!("sha256:{}", "0".repeat(64)));
    });
    let ran = bench.run(["inspect", "out"]);
    assert!(ran.status == NOT_HERE && !forged(&ran.stderr), "{ran:?}");
}
