//! Our images in the hands of other people's tools, of Debian 12 and of the suite in the making (`tests/host/strangers`).
#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::env;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{PROMPT, builder, demo, demo_bytes};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::{Host, Output, isolation, process, wait};
use serde_json::Value;

const OLD: &str = "bookworm";
const NEW: &str = "forky";
const REGISTRY: &str = "127.0.0.1:5000";

/// The test's folder, in which the tools run.
fn home() -> &'static Path {
    isolation::require();
    let home = isolation::state_dir();
    fs::create_dir_all(home).expect("/run is the test's own");
    home
}

/// The folder of a suite's tools.
fn suite(name: &str) -> PathBuf {
    let folder = isolation::workspace().join(".cache/strangers").join(name);
    assert!(folder.join("complete").exists(), "{} is not there: run tests/host/strangers", folder.display());
    folder
}

/// A tool of a suite, to be run in the test's folder with nothing of the user's.
fn tool(suite_name: &str, name: &str, args: &[&str]) -> Command {
    let root = suite(suite_name);
    let folders = [root.join("usr/bin"), root.join("usr/sbin")];
    let program = folders.iter().map(|it| it.join(name)).find(|it| it.exists()).expect("the tool is there");
    let path = env::join_paths(folders.iter().cloned().chain(env::split_paths(&isolation::path_variable())));
    let home = home();
    fs::write(home.join("policy.json"), r#"{"default":[{"type":"insecureAcceptAnything"}]}"#)
        .expect("writable");
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = \"{0}/images\"\nrunroot = \"{0}/running\"\n",
        home.display()
    );
    fs::write(home.join("storage.conf"), storage).expect("writable");
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(home)
        .env("HOME", home)
        .env("CONTAINERS_STORAGE_CONF", home.join("storage.conf"))
        .env("LD_LIBRARY_PATH", root.join("usr/lib/x86_64-linux-gnu"))
        .env("PATH", path.expect("no colon in a path"));
    command
}

fn run(suite_name: &str, name: &str, args: &[&str]) -> Output {
    process::run(&mut tool(suite_name, name, args))
}

/// Packs the demo under this name into a file or directory of the test's folder; answers the digest.
fn pack(name: &str, output: &str, options: &[&str]) -> String {
    let demo = demo();
    let output = home().join(output);
    let paths = [&demo, &output].map(|path| path.to_str().expect("UTF-8"));
    let args = ["pack", paths[0], "-t", name, "-o", paths[1], "-q"];
    builder(&[&args[..], options].concat()).success().trim_end().to_owned()
}

/// A program that runs until it is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

#[test]
fn one_reference_is_one_image_for_all() {
    let first = pack("localhost/a:1", "images", &["--platform", "linux/amd64"]);
    let last = pack("localhost/b:1", "images", &["--platform", "linux/amd64", "--os", "zephyr"]);
    assert_ne!(first, last);
    for (reference, expected) in [("1", &last), ("localhost/a:1", &first)] {
        let image = format!("oci:images:{reference}");
        let found = run(OLD, "skopeo", &["inspect", "--format", "{{.Digest}}", &image]).success();
        assert_eq!(found.trim_end(), expected, "skopeo, {reference}");
        let args = ["manifest", "fetch", "--descriptor", "--oci-layout-path", "images", reference];
        let found: Value = serde_json::from_str(&run(NEW, "oras", &args).success()).expect("JSON");
        assert_eq!(found["digest"], *expected.as_str(), "oras, {reference}");
    }
    let args = ["manifest", "fetch", "--descriptor", "--oci-layout", "images:1"];
    assert!(run(NEW, "oras", &args).success().contains(&last));
    for suite_name in [OLD, NEW] {
        let said = run(suite_name, "umoci", &["stat", "--image", "images:1"]).success();
        assert!(said.contains("micrun-image-builder pack b"), "{said}");
        run(suite_name, "umoci", &["unpack", "--image", "images:1", suite_name]).success();
        let unpacked = home().join(suite_name).join("rootfs/firmware.elf");
        assert!(fs::read(unpacked).expect("umoci has unpacked it") == demo_bytes());
    }
}

/// Docker 20.10 reads `manifest.json`, Docker 28 with containerd's image store reads `index.json`.
#[test]
fn docker_loads_an_archive() {
    pack("localhost/demo:1", "demo.tar", &["--sbom", "--provenance"]);
    for (suite_name, platforms) in [(OLD, 1), (NEW, 3)] {
        let home = home();
        let socket = format!("unix://{}/{suite_name}.sock", home.display());
        let [data, exec, config] = ["data", "exec", "json"].map(|it| format!("{suite_name}.{it}"));
        let store = suite_name == NEW;
        let features = format!(r#"{{"features":{{"containerd-snapshotter":{store}}}}}"#);
        fs::write(home.join(&config), if store { features } else { "{}".to_owned() }).expect("writable");
        let [data, exec] = [data, exec].map(|it| home.join(it).to_str().expect("UTF-8").to_owned());
        let driver = if store { "native" } else { "vfs" };
        let _daemon = Daemon::start(tool(
            suite_name,
            "dockerd",
            &[
                "--host",
                &socket,
                "--data-root",
                &data,
                "--exec-root",
                &exec,
                "--config-file",
                &config,
                "--pidfile",
                &format!("{exec}.pid"),
                "--storage-driver",
                driver,
                "--bridge",
                "none",
                "--iptables=false",
                "--ip6tables=false",
            ],
        ));
        let docker = |args: &[&str]| run(suite_name, "docker", &[&["-H", &socket], args].concat());
        wait::until("Docker answers", || (docker(&["info"]).status == 0).then_some(()));
        let said = docker(&["load", "--input", "demo.tar"]).success();
        assert!(said.contains("Loaded image: localhost/demo:1"), "{said}");
        let mut found = docker(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"]).success();
        assert_eq!(found.trim_end(), "localhost/demo:1");
        if store {
            found = docker(&["image", "ls", "--tree"]).success();
            assert_eq!(found.matches("linux/").count(), platforms, "{found}");
        }
    }
}

#[test]
fn podman_buildah_and_skopeo_take_an_archive() {
    pack("localhost/demo:1", "demo.tar", &[]);
    let said = run(OLD, "podman", &["load", "--signature-policy", "policy.json", "-i", "demo.tar"]).success();
    assert!(said.contains("Loaded image: localhost/demo:1"), "{said}");
    run(OLD, "podman", &["rmi", "localhost/demo:1"]).success();
    run(OLD, "buildah", &["--signature-policy", "policy.json", "pull", "oci-archive:demo.tar"]).success();
    let listed = run(OLD, "buildah", &["images", "--format", "{{.Name}}:{{.Tag}}"]).success();
    assert_eq!(listed.trim_end(), "localhost/demo:1");
    for (from, to) in [("oci-archive:demo.tar", "one"), ("docker-archive:demo.tar", "two")] {
        let to = format!("docker-archive:{to}.tar:localhost/copy:1");
        run(OLD, "skopeo", &["--policy", "policy.json", "copy", from, &to]).success();
    }
    // What skopeo and Docker save is read by ours.
    for saved in ["one.tar", "two.tar"] {
        let path = home().join(saved);
        let said = builder(&["inspect", path.to_str().expect("UTF-8")]).success();
        assert!(said.contains("localhost/copy:1") && said.contains("/firmware.elf"), "{said}");
    }
}

#[test]
fn crane_and_oras_push_what_was_packed() {
    let digest = pack("localhost/demo:1", "images", &[]);
    pack("localhost/demo:1", "demo.tar", &[]);
    let _registry = Daemon::start(tool(NEW, "crane", &["registry", "serve", "--address", REGISTRY]));
    wait::until("the registry listens", || TcpStream::connect(REGISTRY).ok());
    let at = |name: &str| format!("{REGISTRY}/{name}:1");
    let crane = |args: &[&str]| run(NEW, "crane", &[args, &["--insecure"]].concat()).success();
    assert!(crane(&["push", "images", &at("layout")]).contains(&digest), "all platforms");
    crane(&["push", "demo.tar", &at("archive")]);
    for (from, name) in [("images:1", "oras-layout"), ("demo.tar:1", "oras-archive")] {
        let said =
            run(NEW, "oras", &["cp", "--from-oci-layout", from, "--to-plain-http", &at(name)]).success();
        assert!(said.contains(&digest), "{said}");
    }
    for name in ["layout", "archive", "oras-layout", "oras-archive"] {
        crane(&["validate", "--remote", &at(name)]);
        let config = crane(&["config", "--platform", "linux/amd64", &at(name)]);
        assert!(config.contains(r#""architecture":"amd64""#), "{name}: {config}");
    }
}

/// What stands beside an image changes nothing for those who do not look for it.
#[test]
fn artifacts_beside_an_image_are_in_nobodys_way() {
    pack("localhost/demo:1", "demo.tar", &["--sbom", "--provenance"]);
    let said = run(OLD, "podman", &["load", "--signature-policy", "policy.json", "-i", "demo.tar"]).success();
    assert!(said.contains("Loaded image: localhost/demo:1"), "{said}");
    for (from, to) in [("oci-archive:demo.tar:1", "one"), ("docker-archive:demo.tar", "two")] {
        let to = format!("docker-archive:{to}.tar:localhost/copy:1");
        run(OLD, "skopeo", &["--policy", "policy.json", "copy", from, &to]).success();
    }
    pack("localhost/demo:1", "layout", &["--platform", "linux/amd64", "--sbom", "--provenance"]);
    for suite_name in [OLD, NEW] {
        run(suite_name, "umoci", &["unpack", "--image", "layout:1", suite_name]).success();
        let unpacked = home().join(suite_name).join("rootfs/firmware.elf");
        assert!(fs::read(unpacked).expect("umoci has unpacked it") == demo_bytes());
    }
}

/// One key, made by cosign: with it cosign signs the image at a registry, and `pack` the firmware in it, for the shim.
#[test]
fn containerd_runs_what_cosigns_key_has_signed_and_nothing_else() {
    const PASSWORD: &str = "correct horse";
    let cosign =
        |args: &[&str]| process::run(tool("cosign", "cosign", args).env("COSIGN_PASSWORD", PASSWORD));
    cosign(&["generate-key-pair"]).success();
    let keys = home().join("keys.d");
    fs::create_dir(&keys).expect("/run is writable");
    fs::copy(home().join("cosign.pub"), keys.join("team.pub")).expect("cosign has made it");
    let _registry = Daemon::start(tool(NEW, "crane", &["registry", "serve", "--address", REGISTRY]));
    wait::until("the registry listens", || TcpStream::connect(REGISTRY).ok());
    let host = Host::configured(&format!("[Policy]\nrequire_signature = {}\n", keys.display()), "");

    let ours = |args: &[&str]| {
        let mut command = Command::new(isolation::binary("micrun-image-builder"));
        process::run(command.args(args).current_dir(home()).env("COSIGN_PASSWORD", PASSWORD)).success()
    };
    let demo = demo();
    let elf = demo.to_str().expect("UTF-8");
    let offline = ["--tlog-upload=false", "--use-signing-config=false", "-y"];
    let publish = |name: &str, options: &[&str]| {
        let image = format!("{REGISTRY}/{name}:1");
        let archive = format!("{name}.tar");
        let digest = ours(&[&["pack", elf, "-q", "-t", &image, "-o", &archive], options].concat());
        ours(&["push", &archive, "--plain-http"]);
        let at = format!("{REGISTRY}/{name}@{}", digest.trim_end());
        cosign(&[&["sign", "--key", "cosign.key"], &offline[..], &[&at]].concat()).success();
        let args = ["verify", "--key", "cosign.pub", "--insecure-ignore-tlog", &image];
        cosign(&args).success();
        ctr(&["images", "pull", "--plain-http", &image]).success();
        image
    };
    let signed = publish("signed", &["--sign-key", "cosign.key"]);
    let mut console = ctr_piped(&["run", "--rm", "--runtime", MICA, &signed, "rtos"]);
    console.expect(PROMPT);
    console.send("exit\r");
    assert_eq!(console.wait(), 0);
    host.assert_clean();

    // A shim does not see what cosign signs: without a signature of the firmware, nothing runs.
    let refusal = ["firmware without a valid signature", "require_signature"];
    host.assert_refused(&publish("image-only", &[]), &[], &refusal);
    host.assert_refused(DEMO, &[], &refusal);
}
