//! How Docker finds the shim, and what it gives it.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;

use micrun_docker_tests::{Engine, LINUX, docker, docker_piped};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::DEMO;
use micrun_host_tests::isolation;

#[track_caller]
fn runs_as(runtime: &str) {
    let mut demo = docker_piped(&["run", "--rm", "-i", "--runtime", runtime, DEMO]);
    demo.expect(PROMPT);
    demo.send("exit 2\r");
    assert_eq!(demo.wait(), 2);
}

#[test]
fn by_a_name_of_daemon_json() {
    let engine = Engine::configured(r#"{"runtimes": {"rtos": {"runtimeType": "io.containerd.mica.v2"}}}"#);
    runs_as("rtos");
    engine.assert_clean();
}

/// Under another name than that of the shim on `PATH`, which is then not needed.
#[test]
fn by_the_path_of_the_shim() {
    let path = isolation::state_dir().join("libexec/containerd-shim-elsewhere-v2");
    fs::create_dir_all(path.parent().expect("it has one")).expect("/run is writable");
    fs::copy(isolation::binary("containerd-shim-mica-v2"), &path).expect("/run has room");
    let json = format!(r#"{{"runtimes": {{"mica": {{"runtimeType": "{}"}}}}}}"#, path.display());
    let engine = Engine::configured(&json);
    runs_as("mica");
    engine.assert_clean();
}

#[test]
fn as_the_default_runtime() {
    let engine = Engine::configured(
        r#"{"default-runtime": "mica", "runtimes": {"mica": {"runtimeType": "io.containerd.mica.v2"}}}"#,
    );
    let said = docker(&["run", "--rm", LINUX, "/bin/busybox", "echo", "linux"]).success();
    assert_eq!(said, "linux\n");
    let mut demo = docker_piped(&["run", "--rm", "-i", DEMO]);
    demo.expect(PROMPT);
    demo.send("exit 2\r");
    assert_eq!(demo.wait(), 2);
    engine.assert_clean();
}

/// `ConfigPath` of a runtime's options is a micrun.conf of its own.
#[test]
fn with_a_configuration_of_its_own() {
    let conf = isolation::state_dir().join("strict.conf");
    let json = format!(
        r#"{{"runtimes": {{"strict": {{"runtimeType": "io.containerd.mica.v2",
            "options": {{"TypeUrl": "io.containerd.mica.v2.options", "ConfigPath": "{}"}}}}}}}}"#,
        conf.display()
    );
    let engine = Engine::configured(&json);
    fs::write(&conf, "[Policy]\nallowed_pedestals = baremetal\n").expect("/run is writable");
    let refused = docker(&["run", "--rm", "--runtime", "strict", DEMO]);
    assert!(refused.status != 0 && refused.stderr.contains("pedestal"), "{refused}");
    runs_as("io.containerd.mica.v2");
    engine.assert_clean();
}
