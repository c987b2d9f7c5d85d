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

/// A certificate for 127.0.0.1 that nobody vouches for.
fn certificate(bench: &Bench) -> [std::path::PathBuf; 2] {
    let [certificate, key] = ["server.crt", "server.key"].map(|it| bench.path(it));
    let args = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "3650",
        "-subj",
        "/CN=test",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
        "-out",
        text(&certificate),
        "-keyout",
        text(&key),
    ];
    process::run(Command::new("openssl").args(args)).success();
    [certificate, key]
}

/// cmu-sei/Polar#218: neither HTTP nor an unknown certificate is taken because the registry is near.
#[test]
fn neither_plain_http_nor_an_unknown_certificate_is_implied() {
    let bench = Bench::default();
    let [certificate, key] = certificate(&bench);
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
fn a_trace_has_no_secret() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let name = format!("{}/team/demo:1", registry.host());
    bench.pack(&name, "image.tar", SIZE);
    bench.login(&registry.host(), PASSWORD).success();
    let output = bench.run(&["push", "image.tar", "--plain-http", "--http-trace"]);
    for part in ["HEAD http://", "POST http://", " 202 ", "PUT http://", " 201 ", "_state=... ", " ms\n"] {
        assert!(output.stderr.contains(part) || output.stderr.contains(part.trim_end()), "{part}: {output}");
    }
    let coded = "ZW5naW5lZXI6c2VjcmV0";
    assert!(!output.stderr.contains(coded) && !output.stderr.contains(PASSWORD), "{output}");
}

#[test]
fn a_credential_helper_keeps_the_password() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let helper = "#!/bin/sh\ncase $1 in store) cat >kept;; get) cat >address; [ -e kept ] && cat kept || { echo 'credentials not found in native keychain'; exit 1; };; erase) rm -f kept;; esac\n";
    let path = bench.write("bin/docker-credential-test", helper);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its own file");
    bench.write(".docker/config.json", r#"{"credsStore":"test","detachKeys":"ctrl-x"}"#);
    let search = format!("{}:{}", text(&bench.path("bin")), std::env::var("PATH").expect("a search path"));
    let run =
        |args: &[&str], input: &str| process::run_with_input(bench.command(args).env("PATH", &search), input);
    let name = format!("{host}/demo:1");
    let nobody = run(&["tags", &name, "--plain-http"], "");
    assert_eq!(nobody.status, 5, "{nobody}");
    let login = ["login", &host, "-u", "engineer", "--password-stdin", "--plain-http"];
    run(&login, PASSWORD).success();
    let config = fs::read_to_string(bench.path(".docker/config.json")).expect("readable");
    assert!(config.contains("ctrl-x") && !config.contains("auth"), "{config}");
    let none = run(&["tags", &name, "--plain-http"], "");
    assert!(none.stderr.contains("404"), "no such repository, but let in: {none}");
    run(&["logout", &host], "").success();
    assert!(!bench.path("kept").exists());
}

#[test]
fn the_file_of_credentials_is_its_owners_and_keeps_what_is_in_it() {
    let registry = Registry::start(Kind::Password);
    let bench = Bench::default();
    let host = registry.host();
    let kept = r#"{"auths":{"other.example":{"auth":"eDp5"}},"detachKeys":"ctrl-x"}"#;
    let path = bench.write("auth.json", kept);
    let login = ["login", &host, "-u", "engineer", "--password-stdin", "--plain-http"];
    process::run_with_input(bench.command(&login).env("REGISTRY_AUTH_FILE", &path), PASSWORD).success();
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let found: Value = serde_json::from_slice(&fs::read(&path).expect("readable")).expect("JSON");
    assert_eq!(found["detachKeys"], "ctrl-x");
    assert_eq!(found["auths"]["other.example"]["auth"], "eDp5");
    assert!(found["auths"][&host]["auth"].is_string());
    let args = ["tags", &format!("{host}/demo"), "--plain-http"];
    let none = process::run(bench.command(&args).env("REGISTRY_AUTH_FILE", &path));
    assert!(none.stderr.contains("404"), "{none}");
    assert_eq!(bench.run(&args).status, 5, "not Docker's file");
}

#[test]
fn registries_conf_of_podman_is_read() {
    let bench = Bench::default();
    let [certificate, key] = certificate(&bench);
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
