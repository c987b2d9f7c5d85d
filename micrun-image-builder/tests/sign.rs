//! `sign` and `verify --key`, in layouts and archives. cosign itself is asked in `tests/host/tests/cosign.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::process::Command;

use common::elf::Elf;
use common::{Bench, Ran, blob, json};
use serde_json::Value;

const NAME: &str = "example.org/team/demo:1";

/// A directory with a firmware and the keys of a team and of a stranger, by OpenSSL.
fn bench() -> Bench {
    let bench = Bench::with_firmware(&Elf::aarch64(20_000).to_bytes());
    for name in ["team", "stranger"] {
        let (private, public) = (format!("{name}.key"), format!("{name}.pub"));
        let curve = "ec_paramgen_curve:P-256";
        openssl(&bench, &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", &private]);
        openssl(&bench, &["pkey", "-in", &private, "-pubout", "-out", &public]);
    }
    bench
}

fn openssl(bench: &Bench, args: &[&str]) -> Vec<u8> {
    let ran = Command::new("openssl").args(args).current_dir(bench.path(".")).output().unwrap();
    assert!(ran.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    ran.stdout
}

fn sign(bench: &Bench, image: &str, key: &str, options: &[&str]) -> String {
    let ran = bench.run([&["sign", image, "--key", key][..], options].concat());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.stdout.trim_end().to_owned()
}

fn verify(bench: &Bench, image: &str, key: &str) -> Ran {
    bench.run(["verify", image, "--key", key])
}

/// The entries of a layout that are artifacts.
fn artifacts(bench: &Bench, layout: &str) -> Vec<Value> {
    let index = json(bench.path(layout).join("index.json"));
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|it| it.get("artifactType").is_some())
        .cloned()
        .collect()
}

#[test]
fn who_has_signed_is_found_and_nobody_else() {
    let bench = bench();
    for image in ["layout", "a.tar", "a.tar.gz"] {
        let digest = bench.pack(&["-t", NAME, "-o", image]);
        let unsigned = verify(&bench, image, "team.pub");
        assert_eq!(unsigned.status, 3);
        assert!(unsigned.stderr.contains("nobody has signed it"), "{}", unsigned.stderr);

        // The image is the same one: its digest does not change, and inspect shows it as before.
        assert_eq!(sign(&bench, image, "team.key", &[]), digest);
        let verified = verify(&bench, image, "team.pub");
        assert_eq!(
            (verified.status, verified.stdout.trim_end()),
            (0, digest.as_str()),
            "{}",
            verified.stderr
        );
        let by_another = verify(&bench, image, "stranger.pub");
        assert_eq!(by_another.status, 3);
        assert!(by_another.stderr.contains("none of its 2 signatures is by one of the keys"));
        let report = bench.inspect(image);
        assert_eq!(report["images"].as_array().unwrap().len(), 1);
        assert_eq!(report["images"][0]["digest"], digest.as_str());

        // The fingerprint is that of the key as OpenSSL writes it.
        bench.write("team.der", openssl(&bench, &["pkey", "-pubin", "-in", "team.pub", "-outform", "der"]));
        let sum = Command::new("sha256sum").arg(bench.path("team.der")).output().unwrap().stdout;
        let fingerprint = format!("sha256:{}", &String::from_utf8(sum).unwrap()[..64]);
        let attached = report["images"][0]["attached"].as_array().unwrap();
        assert_eq!(attached.len(), 2);
        assert!(attached.iter().all(|it| it["what"] == "signature"));
        assert!(attached.iter().any(|it| it["key"] == fingerprint.as_str()), "{attached:?}");
    }
}

/// A signature is a function of image and key. A second one does not replace another's.
#[test]
fn signatures_add_up_and_do_not_repeat() {
    let bench = bench();
    bench.pack(&["-t", NAME, "-o", "layout"]);
    sign(&bench, "layout", "team.key", &[]);
    let first = artifacts(&bench, "layout");
    sign(&bench, "layout", "team.key", &[]);
    assert_eq!(artifacts(&bench, "layout"), first);
    sign(&bench, "layout", "stranger.key", &[]);
    for key in ["team.pub", "stranger.pub"] {
        assert_eq!(verify(&bench, "layout", key).status, 0);
    }
    // A bundle for each, and one artifact with both of the older form, as cosign wants it.
    assert_eq!(artifacts(&bench, "layout").len(), 3);
    // A directory of keys, as hosts have it.
    fs::create_dir(bench.path("keys")).unwrap();
    fs::copy(bench.path("stranger.pub"), bench.path("keys/stranger.pub")).unwrap();
    assert_eq!(verify(&bench, "layout", "keys").status, 0);
}

/// Of several images in a layout, each has its own signatures. They follow into a copy.
#[test]
fn a_signature_is_of_one_image() {
    let bench = bench();
    bench.pack(&["-t", "a:1", "-o", "layout"]);
    bench.pack(&["-t", "b:1", "-o", "layout", "--memory", "32"]);
    let ran = bench.run(["sign", "layout", "--key", "team.key"]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains("library/a:1") && ran.stderr.contains("--image"), "{}", ran.stderr);
    sign(&bench, "layout", "team.key", &["--image", "a:1"]);
    for (name, status) in [("a:1", 0), ("b:1", 3)] {
        let ran = bench.run(["verify", "layout", "--key", "team.pub", "--image", name]);
        assert_eq!(ran.status, status, "{}", ran.stderr);
    }
    sign(&bench, "layout", "team.key", &["--image", "b:1", "-o", "copy.tar"]);
    for name in ["a:1", "b:1"] {
        let ran = bench.run(["verify", "copy.tar", "--key", "team.pub", "--image", name]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
    }
    assert_eq!(bench.inspect("copy.tar")["images"].as_array().unwrap().len(), 2);
}

/// A signature moved to another image, one that was changed, and an image that was changed.
#[test]
fn what_was_tampered_with_is_refused() {
    let bench = bench();
    let good = bench.pack(&["-t", "a:1", "-o", "good"]);
    sign(&bench, "good", "team.key", &[]);
    let bad = bench.pack(&["-t", "a:1", "-o", "bad", "--memory", "32"]);
    assert_ne!(good, bad);
    sign(&bench, "bad", "stranger.key", &[]);

    // The good image's signatures beside the bad one, with manifests that claim to be about it.
    let moved = bench.path("bad");
    let mut index = json(moved.join("index.json"));
    for entry in artifacts(&bench, "good") {
        let mut manifest = json(blob(&bench.path("good"), entry["digest"].as_str().unwrap()));
        for part in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
            let digest = part["digest"].as_str().unwrap();
            fs::copy(blob(&bench.path("good"), digest), blob(&moved, digest)).unwrap();
        }
        manifest["subject"]["digest"] = bad.clone().into();
        let text = manifest.to_string();
        bench.write("manifest", &text);
        let sum = Command::new("sha256sum").arg(bench.path("manifest")).output().unwrap().stdout;
        let digest = format!("sha256:{}", &String::from_utf8(sum).unwrap()[..64]);
        fs::write(blob(&moved, &digest), &text).unwrap();
        let mut entry = entry.clone();
        entry["digest"] = digest.into();
        entry["size"] = text.len().into();
        index["manifests"].as_array_mut().unwrap().push(entry);
    }
    fs::write(moved.join("index.json"), index.to_string()).unwrap();
    let ran = verify(&bench, "bad", "team.pub");
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    assert_eq!(verify(&bench, "bad", "stranger.pub").status, 0);

    // A blob of the signed image.
    let index = json(bench.path("good/index.json"));
    let image = json(blob(&bench.path("good"), index["manifests"][0]["digest"].as_str().unwrap()));
    let manifest = json(blob(&bench.path("good"), image["manifests"][0]["digest"].as_str().unwrap()));
    let layer = blob(&bench.path("good"), manifest["layers"][0]["digest"].as_str().unwrap());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[100] ^= 1;
    fs::write(&layer, bytes).unwrap();
    assert_eq!(verify(&bench, "good", "team.pub").status, 4);
}

#[test]
fn keys_that_are_none_are_named() {
    let bench = bench();
    bench.pack(&["-t", NAME, "-o", "layout"]);
    bench.write("no.key", "no key");
    for (args, what) in [
        (["sign", "layout", "--key", "no.key"], "no.key"),
        (["sign", "layout", "--key", "team.pub"], "team.pub"),
        (["verify", "layout", "--key", "no.key"], "no.key"),
        (["verify", "layout", "--key", "team.key"], "team.key"),
    ] {
        let ran = bench.run(args);
        assert_eq!(ran.status, 2, "{}", ran.stderr);
        assert!(ran.stderr.contains(what), "{}", ran.stderr);
    }
    assert_eq!(bench.run(["sign", "layout", "--key", "missing.key"]).status, 1);
    assert!(artifacts(&bench, "layout").is_empty());
}
