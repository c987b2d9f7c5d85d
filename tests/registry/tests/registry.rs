//! The verbs against Debian's docker-registry, and other people's tools at the other end.
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use micrun_host_tests::process;
use micrun_registry_tests::bench::{Bench, LARGE, text};
use micrun_registry_tests::proxy::Proxy;
use micrun_registry_tests::registry::{Kind, PASSWORD, Registry};
use serde_json::Value;

const SIZE: usize = 200_000;
/// More than an update of a few bytes needs, documents included.
const SMALL: usize = 16 << 10;

#[test]
fn an_image_goes_there_and_comes_back() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let name = format!("{host}/team/demo:1");
    let digest = bench.pack(&name, "image.tar", SIZE);
    let refused = bench.run(&["push", "image.tar", "--plain-http"]);
    assert_eq!(refused.status, 5, "{refused}");
    assert!(refused.stderr.contains(&format!("micrun-image-builder login {host}")), "{refused}");
    assert_eq!(bench.login(&host, "wrong").status, 5);
    assert!(!bench.path(".docker/config.json").exists(), "a password that was refused is stored");
    bench.login(&host, PASSWORD).success();
    assert_eq!(bench.run(&["push", "image.tar", "--plain-http"]).success().trim_end(), digest);
    assert_eq!(bench.run(&["resolve", &name, "--plain-http"]).success().trim_end(), digest);
    assert_eq!(bench.run(&["tags", &name, "--plain-http"]).success(), "1\n");
    assert_eq!(bench.run(&["pull", &name, "--plain-http", "-o", "layout"]).success().trim_end(), digest);
    let report: Value =
        serde_json::from_str(&bench.run(&["inspect", "layout", "--json"]).success()).expect("JSON");
    assert_eq!(report["images"][0]["name"], *name);
    assert_eq!(report["images"][0]["digest"], *digest);
    bench.run(&["logout", &host]).success();
    assert_eq!(bench.run(&["resolve", &name, "--plain-http"]).status, 5);
}

#[test]
fn other_tools_read_what_is_sent_and_send_what_is_read() {
    let registry = Registry::start(Kind::Open);
    let bench = Bench::default();
    let host = registry.host();
    let name = format!("{host}/team/demo:1");
    let digest = bench.pack(&name, "image.tar", SIZE);
    bench.run(&["push", "image.tar", "--plain-http"]).success();
    let image = format!("docker://{name}");
    let args = ["inspect", "--tls-verify=false", "--format", "{{.Digest}}", &image];
    assert_eq!(process::run(&mut bench.stranger("bookworm", "skopeo", &args)).success().trim_end(), digest);
    let args = ["validate", "--insecure", "--remote", &name];
    process::run(&mut bench.stranger("forky", "crane", &args)).success();
    let other = format!("{host}/other/demo:2");
    let args = ["cp", "--from-plain-http", "--to-plain-http", &name, &other];
    process::run(&mut bench.stranger("forky", "oras", &args)).success();
    assert_eq!(bench.run(&["pull", &other, "--plain-http", "-o", "layout"]).success().trim_end(), digest);
    let third = format!("docker://{host}/third:1");
    let archive = format!("oci-archive:{}", text(&bench.path("image.tar")));
    bench.write("policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#);
    let args =
        ["--policy", "policy.json", "copy", "--format", "v2s2", "--dest-tls-verify=false", &archive, &third];
    process::run(&mut bench.stranger("bookworm", "skopeo", &args)).success();
    bench.run(&["pull", &third["docker://".len()..], "--plain-http", "-o", "third.tar"]).success();
    bench.run(&["inspect", "third.tar"]).success();
}

#[test]
fn nothing_is_sent_twice() {
    let registry = Registry::start(Kind::Open);
    let proxy = Proxy::before(&registry.host());
    let bench = Bench::default();
    let name = format!("{}/team/demo:1", proxy.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    bench.run(&["push", "image.tar", "--plain-http"]).success();
    proxy.forget();
    bench.run(&["push", "image.tar", "--plain-http"]).success();
    assert!(proxy.requests("POST", "").is_empty(), "a blob that is there was sent");
    let copy = format!("{}/other/demo:2", proxy.host());
    let args = ["push", "image.tar", &copy, "--mount-from", "team/demo", "--plain-http", "--json"];
    let report: Value = serde_json::from_str(&bench.run(&args).success()).expect("JSON");
    assert_eq!(report["blobs"]["mounted"], 2);
    assert_eq!(report["blobs"]["sent"], 0);
    assert_eq!(report["digest"], *digest);
    let third = format!("{}/third/demo:3", proxy.host());
    assert_eq!(bench.run(&["copy", &name, &third, "--plain-http"]).success().trim_end(), digest);
    assert!(proxy.requests("PUT", "/uploads/").is_empty(), "a blob was sent in place of mounted");
    assert!(proxy.requests("GET", "/blobs/").is_empty(), "a blob was fetched in place of mounted");
    bench.run(&["pull", &name, "--plain-http", "-o", "layout"]).success();
    proxy.forget();
    bench.run(&["pull", &name, "--plain-http", "-o", "layout"]).success();
    assert!(proxy.requests("GET", "/blobs/").is_empty(), "a blob of the layout was fetched again");
}

#[test]
fn copy_goes_from_registry_to_registry() {
    let (from, to) = (Registry::start(Kind::Open), Registry::start(Kind::Open));
    let bench = Bench::default();
    let name = format!("{}/team/demo:1", from.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    bench.run(&["push", "image.tar", "--plain-http"]).success();
    let other = format!("{}/mirror/demo:1", to.host());
    assert_eq!(bench.run(&["copy", &name, &other, "--plain-http"]).success().trim_end(), digest);
    assert_eq!(bench.run(&["pull", &other, "--plain-http", "-o", "layout"]).success().trim_end(), digest);
}

#[test]
fn a_layout_of_several_images_is_asked_by_name() {
    let registry = Registry::start(Kind::Open);
    let bench = Bench::default();
    let names = ["a", "b"].map(|it| format!("{}/{it}:1", registry.host()));
    let digests = [(0, SIZE), (1, SIZE + 1)].map(|(i, size)| bench.pack(&names[i], "layout", size));
    let unclear = bench.run(&["push", "layout", "--plain-http"]);
    assert_eq!(unclear.status, 2, "{unclear}");
    for (name, digest) in names.iter().zip(&digests) {
        assert_eq!(bench.run(&["push", "layout", name, "--plain-http"]).success().trim_end(), digest);
    }
    let other = format!("{}/c:1", registry.host());
    let args = ["push", "layout", &other, "--from", &names[1], "--plain-http"];
    assert_eq!(bench.run(&args).success().trim_end(), digests[1]);
}

/// cmu-sei/Polar#218: neither HTTP nor an unknown certificate is taken because the registry is near.
#[test]
fn neither_plain_http_nor_an_unknown_certificate_is_implied() {
    let bench = Bench::default();
    let [certificate, key] = bench.certificate("server");
    let plain = Registry::start(Kind::Open);
    let proxy = Proxy::before(&plain.host());
    let name = format!("{}/demo:1", plain.host());
    let refused = bench.run(&["resolve", &name]);
    assert_eq!(refused.status, 1, "{refused}");
    assert!(refused.stderr.contains("--plain-http"), "{refused}");
    assert!(!refused.stderr.contains("trying again"), "{refused}");
    let name = format!("{}/demo:1", proxy.host());
    for options in [&[][..], &["--insecure"]] {
        let refused = bench.run(&[&["resolve", &name, "--retries", "0"], options].concat());
        assert_eq!(refused.status, 1, "{refused}");
    }
    assert!(proxy.requests("GET", "").is_empty(), "a request was sent without TLS");

    let tls = Registry::start(Kind::Tls(&certificate, &key));
    let name = format!("{}/demo:1", tls.host());
    let digest = bench.pack(&name, "image.tar", SIZE);
    let refused = bench.run(&["push", "image.tar"]);
    assert_eq!(refused.status, 1, "{refused}");
    assert_eq!(bench.run(&["push", "image.tar", "--insecure"]).success().trim_end(), digest);
    // With the authority's file beside hosts.toml, and as Docker has it.
    let folder = format!("certs/{}", tls.host());
    bench.write(&format!("{folder}/ca.crt"), fs::read(&certificate).expect("readable"));
    assert_eq!(bench.run(&["resolve", &name, "--hosts-dir", "certs"]).success().trim_end(), digest);
    bench.write(
        &format!("{folder}/hosts.toml"),
        format!("server = 'https://{}'\nca = 'ca.crt'\n", tls.host()),
    );
    assert_eq!(bench.run(&["resolve", &name, "--hosts-dir", "certs"]).success().trim_end(), digest);
    bench.write(&format!("{folder}/hosts.toml"), "ca = [\n");
    assert_eq!(bench.run(&["resolve", &name, "--hosts-dir", "certs"]).status, 2);
}

#[test]
fn mirrors_are_tried_in_their_order() {
    let registry = Registry::start(Kind::Open);
    let (first, second) = (Proxy::before("127.0.0.1:1"), Proxy::before(&registry.host()));
    let bench = Bench::default();
    let digest = bench.pack(&format!("{}/team/demo:1", registry.host()), "image.tar", SIZE);
    bench.run(&["push", "image.tar", "--plain-http"]).success();
    // The name of a registry that does not exist, which nobody is to be asked for.
    let hosts = format!(
        "[host.'http://{}']\ncapabilities = ['pull', 'resolve']\n[host.'http://{}']\ncapabilities = ['pull', 'resolve']\n\
         [host.'http://{}'.header]\nx-test = 'yes'\n",
        first.host(),
        second.host(),
        second.host()
    );
    bench.write("certs/registry.invalid/hosts.toml", hosts);
    let args =
        ["pull", "registry.invalid/team/demo:1", "--hosts-dir", "certs", "-o", "layout", "--retries", "0"];
    assert_eq!(bench.run(&args).success().trim_end(), digest);
    assert!(!first.requests("GET", "/manifests/").is_empty());
    let asked = second.requests("GET", "/manifests/");
    assert!(
        asked.iter().all(|it| it.path().contains("ns=registry.invalid")),
        "containerd's parameter for mirrors"
    );
    assert!(asked.iter().all(|it| it.header("x-test") == Some("yes")));
}

#[test]
fn registries_conf_of_podman_is_read() {
    let bench = Bench::default();
    let [certificate, key] = bench.certificate("server");
    let tls = Registry::start(Kind::Tls(&certificate, &key));
    let digest = bench.pack(&format!("{}/team/demo:1", tls.host()), "image.tar", SIZE);
    bench.run(&["push", "image.tar", "--insecure"]).success();
    let resolve = |conf: &str| {
        let path = bench.write("registries.conf", conf);
        let args = ["resolve", "registry.invalid/team/demo:1", "--retries", "0"];
        process::run(bench.command(&args).env("CONTAINERS_REGISTRIES_CONF", path))
    };
    let mirror = format!("[[registry.mirror]]\nlocation = '{}'\n", tls.host());
    let entry = format!("[[registry]]\nlocation = 'registry.invalid'\n{mirror}");
    let unknown = resolve(&entry);
    assert_eq!(unknown.status, 1, "a certificate that nobody vouches for: {unknown}");
    assert_eq!(resolve(&format!("{entry}insecure = true\n")).success().trim_end(), digest);
    let blocked = resolve("[[registry]]\nlocation = 'registry.invalid'\nblocked = true\n");
    assert_eq!(blocked.status, 2, "{blocked}");
    let part = resolve(&format!(
        "[[registry]]\nprefix = 'registry.invalid/team'\nlocation = '{}/team'\n",
        tls.host()
    ));
    assert_eq!(part.status, 2, "what is not supported is refused: {part}");
}

/// An update moves what the other side does not have, in both directions.
#[test]
fn a_delta_moves_little() {
    let registry = Registry::start(Kind::Open);
    let proxy = Proxy::before(&registry.host());
    let bench = Bench::default();
    let [old, new] = ["1", "2"].map(|tag| format!("{}/team/demo:{tag}", proxy.host()));
    bench.pack_with(&old, "layout", LARGE, &["--updatable"]);
    bench.run(&["unpack", "layout", "unpacked"]).success();
    let mut firmware = fs::read(bench.path("unpacked/firmware.elf")).expect("readable");
    let middle = firmware.len() / 2;
    firmware[middle..middle + 4].copy_from_slice(b"new!");
    bench.write("new.elf", firmware);
    bench.run(&["push", "layout", &old, "--plain-http"]).success();
    let pull = |name: &str| bench.run(&["pull", name, "--plain-http", "-o", "other"]).success();
    pull(&old);
    let pulled = proxy.answered("/team/demo/");

    let append = ["append", "layout", "--firmware", "new.elf", "--delta", "-t", &new, "--json"];
    let report: Value = serde_json::from_str(&bench.run(&append).success()).expect("JSON");
    proxy.forget();
    bench.run(&["push", "layout", &new, "--plain-http"]).success();
    let sent = proxy.sent("/team/demo/");
    assert!(sent < SMALL, "{sent} bytes were sent");

    proxy.forget();
    assert_eq!(pull(&new).trim_end(), report["image"]["digest"]);
    let fetched = proxy.answered("/team/demo/");
    assert!(fetched < SMALL && pulled > LARGE, "{fetched} bytes were fetched, {pulled} at first");
    // Of blobs, only those that the layout did not have.
    let diff = bench.run(&["diff", "other", "--from", &old, "--to", &new, "--json"]).success();
    let diff: Value = serde_json::from_str(&diff).expect("JSON");
    assert_eq!(diff["update"]["bytes"], fetched);
    bench.run(&["verify", "other"]).success();
}
