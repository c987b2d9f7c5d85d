//! `start` as containerd before 2.3 calls it: without `BootstrapParams`, and with sockets at the usual place.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use micrun_host_tests::{isolation, process};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

/// A bundle as far as `start` looks at it.
fn bundle(annotations: &Value) -> PathBuf {
    isolation::require();
    let bundle = isolation::state_dir().join("bundle");
    fs::create_dir_all(&bundle).unwrap();
    mkfifo(&bundle.join("log"), Mode::S_IRWXU).unwrap();
    let spec = serde_json::json!({"ociVersion": "1.1.0", "annotations": annotations});
    fs::write(bundle.join("config.json"), spec.to_string()).unwrap();
    bundle
}

/// Runs `start` with variables in its environment; answers what it printed.
fn start(bundle: &Path, environment: &[(&str, &str)]) -> String {
    let mut shim = Command::new(isolation::binary("containerd-shim-mica-v2"));
    shim.args(["-namespace", "ns", "-id", "a", "-address", "/run/c.sock", "start"]);
    shim.current_dir(bundle).envs(environment.iter().copied());
    process::run(&mut shim).success()
}

fn assert_served(address: &str) {
    let path = address.strip_prefix("unix:///run/containerd/s/").unwrap();
    UnixStream::connect(format!("/run/containerd/s/{path}")).unwrap();
}

#[test]
fn a_plain_address_unless_a_version_is_asked_for() {
    let bundle = bundle(&serde_json::json!({}));
    let address = start(&bundle, &[]);
    assert_served(&address);
    assert_eq!(start(&bundle, &[("MAX_SHIM_VERSION", "2")]), address);
    // 1.6 sets no MAX_SHIM_VERSION, and would take JSON for an address.
    assert_eq!(start(&bundle, &[("MICRUN_SHIM_VERSION", "3")]), address);
    for version in ["2", "3"] {
        let reply = start(&bundle, &[("MAX_SHIM_VERSION", "2"), ("MICRUN_SHIM_VERSION", version)]);
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let expected: Value = serde_json::from_str(version).unwrap();
        assert_eq!(reply, serde_json::json!({"version": expected, "address": address, "protocol": "ttrpc"}));
    }
}

#[test]
fn the_annotation_goes_before_the_environment() {
    let bundle = bundle(&serde_json::json!({"org.openeuler.micrun.runtime.shim_version": "2"}));
    let reply = start(&bundle, &[("MAX_SHIM_VERSION", "2"), ("MICRUN_SHIM_VERSION", "3")]);
    let reply: Value = serde_json::from_str(&reply).unwrap();
    assert_eq!(reply["version"], 2);
    assert_served(reply["address"].as_str().unwrap());
}
