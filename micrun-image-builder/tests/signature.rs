//! `pack --sign-key`, and the host that asks for signatures. The keys are OpenSSL's, and it checks ours.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::elf::Elf;
use common::{Bench, json};
use micrun_firmware::host_conf::Locations;
use micrun_firmware::{Firmware, HostConf, signature};

/// Runs Debian's openssl in the test's directory.
fn openssl(bench: &Bench, args: &[&str]) {
    let ran = Command::new("openssl").args(args).current_dir(bench.path(".")).output().unwrap();
    assert!(ran.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn key(bench: &Bench, name: &str) {
    let private = format!("{name}.key");
    let curve = "ec_paramgen_curve:P-256";
    openssl(bench, &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", &private]);
    openssl(bench, &["pkey", "-in", &private, "-pubout", "-out", &format!("keys/{name}.pub")]);
}

/// A directory with a firmware, two keys, and the first one's image.
fn bench() -> Bench {
    let bench = Bench::with_firmware(&Elf::aarch64(20_000).to_bytes());
    fs::create_dir(bench.path("keys")).unwrap();
    key(&bench, "team");
    key(&bench, "stranger");
    fs::rename(bench.path("keys/stranger.pub"), bench.path("stranger.pub")).unwrap();
    bench
}

/// The rootfs of an image that is packed with these options.
fn rootfs(bench: &Bench, name: &str, options: &[&str]) -> PathBuf {
    let layout = format!("{name}.oci");
    bench.pack(&[&["-o", &layout, "--compression=none", "-q"], options].concat());
    let layout = bench.path(&layout);
    let entry = json(layout.join("index.json"))["manifests"][0]["digest"].as_str().unwrap().to_owned();
    let index = json(common::blob(&layout, &entry));
    let manifest = json(common::blob(&layout, index["manifests"][0]["digest"].as_str().unwrap()));
    let layer = common::blob(&layout, manifest["layers"][0]["digest"].as_str().unwrap());
    let root = bench.path(name);
    fs::create_dir(&root).unwrap();
    assert!(Command::new("tar").arg("-xf").arg(layer).arg("-C").arg(&root).status().unwrap().success());
    root
}

/// What a host that asks for signatures of these keys says.
fn ask(keys: &Path, root: &Path, annotations: &[(&str, &str)]) -> Result<(), String> {
    let mut places =
        Locations::from_env([("MICRUN_REQUIRE_SIGNATURE".to_owned(), keys.to_str().unwrap().to_owned())]);
    (places.file, places.dir) = ("/nonexistent".into(), "/nonexistent".into());
    let annotations: BTreeMap<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let host = HostConf::for_container(places, &annotations).map_err(|e| e.to_string())?;
    Firmware::resolve_on(&host, root, &annotations).map(drop).map_err(|e| e.to_string())
}

#[test]
fn a_signed_image_runs_and_an_unsigned_one_does_not() {
    let bench = bench();
    let keys = bench.path("keys");
    let signed = rootfs(&bench, "signed", &["--sign-key", "team.key"]);
    assert_eq!(ask(&keys, &signed, &[]), Ok(()));
    assert_eq!(ask(&keys.join("team.pub"), &signed, &[]), Ok(()));
    for (name, options) in [("unsigned", &[][..]), ("by-another", &["--sign-key", "stranger.key"])] {
        let said = ask(&keys, &rootfs(&bench, name, options), &[]).unwrap_err();
        assert!(said.contains("without a valid signature") && said.contains("require_signature"), "{said}");
    }
    // Reproducible as all else.
    let again = rootfs(&bench, "again", &["--sign-key", "team.key"]);
    let file = signature::PATH.trim_start_matches('/');
    assert_eq!(fs::read(signed.join(file)).unwrap(), fs::read(again.join(file)).unwrap());
    // The layer's record lists it.
    bench.inspect("signed.oci");
}

/// Whatever decides what runs is bound: nothing of it can be exchanged, and no annotation leads around it.
#[test]
fn nothing_that_is_signed_can_be_exchanged() {
    let bench = bench();
    let keys = bench.path("keys");
    let file = signature::PATH.trim_start_matches('/');
    let fresh = |name: &str| rootfs(&bench, name, &["--sign-key", "team.key"]);
    let refused = |root: &Path, annotations: &[(&str, &str)]| {
        let said = ask(&keys, root, annotations).unwrap_err();
        assert!(said.contains("signature"), "{said}");
    };
    let mut other = Elf::aarch64(20_000);
    other.content[100] ^= 1;

    let root = fresh("firmware");
    fs::write(root.join("firmware.elf"), other.to_bytes()).unwrap();
    refused(&root, &[]);

    let root = fresh("conf");
    let conf = fs::read_to_string(root.join("client.conf")).unwrap();
    fs::write(root.join("client.conf"), conf + "\n[Qemu]\nConsoles = 2\n").unwrap();
    refused(&root, &[]);

    let root = fresh("no-conf");
    fs::remove_file(root.join("client.conf")).unwrap();
    refused(&root, &[]);

    // A further layer's file, which an annotation or a link names.
    let root = fresh("path");
    fs::write(root.join("other.elf"), other.to_bytes()).unwrap();
    refused(&root, &[("org.openeuler.micrun.container.firmware_path", "/other.elf")]);
    fs::remove_file(root.join("firmware.elf")).unwrap();
    std::os::unix::fs::symlink("other.elf", root.join("firmware.elf")).unwrap();
    refused(&root, &[]);

    // The signature itself: of other firmware, changed, a link out of the image, too large, no JSON.
    let root = fresh("signature");
    bench.write("fw.elf", other.to_bytes());
    let others = fs::read(fresh("others").join(file)).unwrap();
    let good = fs::read(root.join(file)).unwrap();
    let mut bent = good.clone();
    let at = bent.windows(5).position(|it| it == b"\"sig\"").unwrap() + 20;
    bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
    for text in [others, bent, Vec::new(), b"{}".to_vec(), vec![b' '; 1 << 20]] {
        fs::write(root.join(file), text).unwrap();
        refused(&root, &[]);
    }
    fs::remove_file(root.join(file)).unwrap();
    std::os::unix::fs::symlink(bench.path("signed"), root.join(file)).unwrap();
    refused(&root, &[]);
}

/// A place without keys, or with a file that is no key, lets nothing run.
#[test]
fn a_host_without_keys_refuses_all() {
    let bench = bench();
    let root = rootfs(&bench, "signed", &["--sign-key", "team.key"]);
    fs::create_dir(bench.path("empty")).unwrap();
    fs::create_dir(bench.path("bad")).unwrap();
    bench.write("bad/a.pub", "no key");
    for place in ["empty", "bad", "missing"] {
        let said = ask(&bench.path(place), &root, &[]).unwrap_err();
        assert!(said.contains(place), "{said}");
    }
    assert!(ask(Path::new("keys"), &root, &[]).unwrap_err().contains("absolute path"));
}

/// OpenSSL verifies what is signed: DSSE's encoding of the payload.
#[test]
fn openssl_verifies_our_signature() {
    let bench = bench();
    let root = rootfs(&bench, "signed", &["--sign-key", "team.key"]);
    let envelope = json(root.join(signature::PATH.trim_start_matches('/')));
    for (name, text) in [("payload", &envelope["payload"]), ("sig", &envelope["signatures"][0]["sig"])] {
        bench.write(&format!("{name}.b64"), text.as_str().unwrap());
        let (from, to) = (format!("{name}.b64"), format!("{name}.bin"));
        openssl(&bench, &["base64", "-d", "-A", "-in", &from, "-out", &to]);
    }
    let payload = bench.read("payload.bin");
    let kind = envelope["payloadType"].as_str().unwrap();
    let mut message = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    message.extend(payload);
    bench.write("message", message);
    openssl(&bench, &["dgst", "-sha256", "-verify", "keys/team.pub", "-signature", "sig.bin", "message"]);
    // What is no key is said.
    let ran = bench.run(["pack", "fw.elf", "--sign-key", "keys/team.pub"]);
    assert!(ran.status == 2 && ran.stderr.contains("PKCS#8"), "{ran:?}");
}

/// Of more keys than are read, some did not count, and nobody was told.
#[test]
fn too_many_keys_are_an_error() {
    let bench = bench();
    let place = bench.path("keys");
    for number in 0..63 {
        fs::copy(place.join("team.pub"), place.join(format!("{number}.pub"))).unwrap();
    }
    signature::Keys::load(&place).unwrap();
    fs::copy(place.join("team.pub"), place.join("64.pub")).unwrap();
    let error = signature::Keys::load(&place).unwrap_err().to_string();
    assert!(
        error.contains(place.to_str().unwrap()) && error.contains("65 files *.pub, but 64 at most"),
        "{error}"
    );
}
