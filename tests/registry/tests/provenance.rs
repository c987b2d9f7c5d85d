//! Signatures and what else is about an image, at a registry, with cosign and oras at the other end. cosign is Debian's.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_host_tests::{Output, process};
use micrun_registry_tests::bench::Bench;
use micrun_registry_tests::message::Message;
use micrun_registry_tests::proxy::{Fault, Proxy};
use micrun_registry_tests::registry::{Kind, Registry};
use serde_json::{Value, json};

const SIZE: usize = 20_000;
const PASSWORD: &str = "correct horse";

fn cosign(bench: &Bench, args: &[&str]) -> Output {
    let mut command = bench.stranger("cosign", "cosign", args);
    process::run(command.env("COSIGN_PASSWORD", PASSWORD))
}

fn ours(bench: &Bench, args: &[&str]) -> Output {
    process::run(bench.command(args).env("COSIGN_PASSWORD", PASSWORD))
}

/// A registry, and a folder with a key pair of cosign's.
fn set_up() -> (Registry, Bench) {
    let bench = Bench::default();
    cosign(&bench, &["generate-key-pair"]).success();
    (Registry::start(Kind::Open), bench)
}

/// What cosign says of an image at a registry.
fn verify(bench: &Bench, name: &str, options: &[&str]) -> Output {
    let args = ["verify", "--key", "cosign.pub", "--insecure-ignore-tlog", name];
    cosign(bench, &[&args[..], options].concat())
}

/// The artifact types of what a registry has about an image, as oras finds it.
fn discover(bench: &Bench, name: &str) -> Vec<String> {
    let args = ["discover", "--plain-http", "--format", "json", name];
    let found = process::run(&mut bench.stranger("forky", "oras", &args)).success();
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let listed = found["referrers"].as_array().expect("a list").iter();
    let mut types: Vec<_> =
        listed.map(|it| it["artifactType"].as_str().expect("a type").to_owned()).collect();
    types.sort();
    types
}

#[test]
fn cosign_takes_our_signatures_in_a_layout_and_at_a_registry() {
    let (registry, bench) = set_up();
    let name = format!("{}/team/demo:1", registry.host());
    let digest = bench.pack(&name, "layout", SIZE);
    assert_eq!(ours(&bench, &["sign", "layout", "--key", "cosign.key"]).success().trim_end(), digest);
    verify(&bench, "layout", &["--local-image"]).success();

    ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();
    // Version 3's own form, and that of the versions before.
    for options in [&[][..], &["--new-bundle-format=false"]] {
        let said = verify(&bench, &name, options).success();
        assert!(said.contains(&digest), "{said}");
    }
    // A stranger's key says no, at cosign as here.
    cosign(&bench, &["generate-key-pair", "--output-key-prefix", "stranger"]).success();
    let args = ["verify", "--key", "stranger.pub", "--insecure-ignore-tlog", &name];
    assert_ne!(cosign(&bench, &args).status, 0);
    let args = ["verify", "--key", "stranger.pub", "--insecure-ignore-tlog", "--local-image", "layout"];
    assert_ne!(cosign(&bench, &args).status, 0);
    assert_eq!(ours(&bench, &["verify", "layout", "--key", "stranger.pub"]).status, 3);
}

#[test]
fn cosigns_signatures_are_verified() {
    let (registry, bench) = set_up();
    let name = format!("{}/team/demo:1", registry.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    ours(&bench, &["push", "image.tar", "--plain-http"]).success();
    let at = format!("{}@{digest}", name.trim_end_matches(":1"));
    let offline = ["--tlog-upload=false", "--use-signing-config=false", "-y"];
    for form in ["--new-bundle-format=true", "--new-bundle-format=false"] {
        let args = [&["sign", "--key", "cosign.key", form][..], &offline, &[&at]].concat();
        cosign(&bench, &args).success();
        let layout = form.trim_start_matches("--new-bundle-format=");
        ours(&bench, &["pull", &name, "--plain-http", "--referrers", "-o", layout]).success();
        assert_eq!(ours(&bench, &["verify", layout, "--key", "cosign.pub"]).success().trim_end(), digest);
    }
    // And what cosign itself saves.
    cosign(&bench, &["save", "--dir", "saved", &at]).success();
    assert_eq!(ours(&bench, &["verify", "saved", "--key", "cosign.pub"]).success().trim_end(), digest);
}

/// A second signature at a registry leaves the first one there, whoever made it.
#[test]
fn signatures_of_several_makers_stand_side_by_side() {
    let (registry, bench) = set_up();
    let name = format!("{}/team/demo:1", registry.host());
    let digest = bench.pack(&name, "layout", SIZE);
    ours(&bench, &["push", "layout", "--plain-http"]).success();
    cosign(&bench, &["generate-key-pair", "--output-key-prefix", "other"]).success();
    let at = format!("{}@{digest}", name.trim_end_matches(":1"));
    let args = ["--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false", "-y", &at];
    cosign(&bench, &[&["sign", "--key", "other.key"], &args[..]].concat()).success();
    ours(&bench, &["sign", "layout", "--key", "cosign.key"]).success();
    for _ in 0..2 {
        ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();
    }
    for key in ["other.pub", "cosign.pub"] {
        let args = ["verify", "--key", key, "--insecure-ignore-tlog", "--new-bundle-format=false", &name];
        cosign(&bench, &args).success();
    }
    assert_eq!(discover(&bench, &name).len(), 2, "the second push has listed something twice");
}

/// The signature inside the image, and the signed provenance, are statements that cosign reads.
#[test]
fn cosign_reads_what_pack_signs() {
    let (registry, bench) = set_up();
    let name = format!("{}/team/demo:1", registry.host());
    bench.pack(&name, "plain", SIZE);
    let args = [
        "pack",
        "firmware.bin",
        "--load-address",
        "0x40000000",
        "--arch",
        "aarch64",
        "--os",
        "zephyr",
        "--platform",
        "linux/arm64",
        "--sign-key",
        "cosign.key",
        "--provenance",
        "-t",
        &name,
        "-o",
        "layout",
        "-q",
        "--compression",
        "none",
    ];
    let digest = ours(&bench, &args).success().trim_end().to_owned();
    ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();
    let args =
        ["verify-attestation", "--key", "cosign.pub", "--insecure-ignore-tlog", "--type", "slsaprovenance1"];
    cosign(&bench, &[&args[..], &[&name]].concat()).success();

    // The envelope of the image, in a bundle of the test's own.
    let read = |path: &str| -> Value {
        serde_json::from_slice(&std::fs::read(bench.path(path)).expect("readable")).expect("JSON")
    };
    let blob = |digest: &Value| format!("layout/blobs/sha256/{}", &digest.as_str().expect("a digest")[7..]);
    let manifest = read(&blob(&digest.into()));
    let layer = blob(&manifest["layers"][0]["digest"]);
    std::fs::create_dir(bench.path("root")).expect("writable");
    let tar = bench.path(&layer);
    process::run(std::process::Command::new("tar").arg("-xf").arg(tar).arg("-C").arg(bench.path("root")))
        .success();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": read("root/.micrun/signature.json"),
    });
    bench.write("bundle.json", bundle.to_string());
    let kind = "https://openeuler.org/micrun/firmware/v1";
    for (file, good) in [("root/firmware.elf", true), ("root/client.conf", true), ("cosign.pub", false)] {
        let args =
            ["verify-blob-attestation", "--key", "cosign.pub", "--bundle", "bundle.json", "--type", kind];
        let ran = cosign(&bench, &[&args[..], &["--insecure-ignore-tlog", file]].concat());
        assert_eq!(ran.status == 0, good, "{file}: {ran}");
    }
}

/// docker-registry does not know the referrers API: the list is kept as the specification says, for others, too.
#[test]
fn a_registry_without_the_api_gets_a_list() {
    let (registry, bench) = set_up();
    let name = format!("{}/team/demo:1", registry.host());
    let digest = bench.pack(&name, "layout", SIZE);
    for args in [&["sbom", "layout", "--attach"][..], &["sign", "layout", "--key", "cosign.key"]] {
        ours(&bench, args).success();
    }
    ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();
    let types = [
        "application/spdx+json",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    ];
    assert_eq!(discover(&bench, &name), types);

    // Without the option they stay where they are.
    ours(&bench, &["pull", &name, "--plain-http", "-o", "image"]).success();
    assert_eq!(ours(&bench, &["verify", "image", "--key", "cosign.pub"]).status, 3);
    let copy = format!("{}/copy/demo:1", registry.host());
    ours(&bench, &["copy", &name, &copy, "--plain-http", "--referrers"]).success();
    assert_eq!(discover(&bench, &copy), types);
    for output in ["copy", "copy.tar"] {
        ours(&bench, &["pull", &copy, "--plain-http", "--referrers", "-o", output]).success();
        assert_eq!(ours(&bench, &["verify", output, "--key", "cosign.pub"]).success().trim_end(), digest);
    }
    // oras follows our layouts, too.
    let byoras = format!("{}/oras/demo:1", registry.host());
    let args = ["cp", "-r", "--from-oci-layout", "--to-plain-http", "layout:1", &byoras];
    process::run(&mut bench.stranger("forky", "oras", &args)).success();
    verify(&bench, &byoras, &[]).success();
}

/// A registry that knows the API is asked by it and gets no list. A list does not make an image of an artifact.
#[test]
fn a_registry_with_the_api_is_believed_and_no_further() {
    let (registry, bench) = set_up();
    let proxy = Proxy::before(&registry.host());
    let name = format!("{}/team/demo:1", proxy.host());
    let digest = bench.pack(&name, "layout", SIZE);
    ours(&bench, &["sbom", "layout", "--attach"]).success();
    let index: Value =
        serde_json::from_slice(&std::fs::read(bench.path("layout/index.json")).expect("readable"))
            .expect("JSON");
    let entries = index["manifests"].as_array().expect("a list");
    let mut entry = entries.iter().find(|it| it.get("artifactType").is_some()).expect("the SBOM").clone();

    // What is put by its digest is known to be about something.
    ours(&bench, &["push", "layout", "--plain-http"]).success();
    let path = format!("manifests/{}", entry["digest"].as_str().expect("a digest"));
    let path: &'static str = path.leak();
    let knows = Message::answer("201 Created", &[("oci-subject", &digest)], "");
    proxy.fault("PUT", path, 0, 1, Fault::Answer(knows));
    proxy.forget();
    ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();
    assert!(proxy.requests("PUT", "manifests/sha256-").is_empty(), "a list that nobody needs");
    ours(&bench, &["push", "layout", "--plain-http", "--referrers"]).success();

    entry["annotations"] = json!({
        "io.containerd.image.name": name,
        "org.opencontainers.image.ref.name": "1",
    });
    let list = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });
    let answer = Message::answer("200 OK", &[("content-type", "application/json")], &list.to_string());
    proxy.fault("GET", "referrers/", 0, 1, Fault::Answer(answer));
    proxy.forget();
    ours(&bench, &["pull", &name, "--plain-http", "--referrers", "-o", "pulled"]).success();
    assert!(
        proxy.requests("GET", "manifests/sha256-").iter().all(|it| it.path().strip_suffix(".sig").is_some())
    );
    let report: Value =
        serde_json::from_str(&ours(&bench, &["inspect", "pulled", "--json"]).success()).expect("JSON");
    assert_eq!(report["images"].as_array().expect("a list").len(), 1);
    assert_eq!(report["images"][0]["digest"], *digest);
    assert_eq!(report["images"][0]["attached"][0]["what"], "SBOM");
}
