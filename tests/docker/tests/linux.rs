//! Linux containers by the same runtime.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_docker_tests::{Engine, LINUX, docker, docker_terminal};
use micrun_host_tests::host::MICA;

const OPTIONS: [&str; 4] = ["--runtime", MICA, "--network", "none"];

#[test]
fn a_linux_container_lives_beside_firmware() {
    let engine = Engine::start();
    let script = "echo out; echo err >&2; exit 7";
    let output = docker(&[&["run", "--rm"], &OPTIONS[..], &[LINUX, "/bin/sh", "-c", script]].concat());
    assert_eq!(
        (output.status, output.stdout.as_str(), output.stderr.as_str()),
        (7, "out\n", "err\n"),
        "{output}"
    );

    let sleep = ["--name", "one", LINUX, "/bin/busybox", "sleep", "1000"];
    docker(&[&["run", "-d", "--memory", "32m"], &OPTIONS[..], &sleep].concat()).success();
    assert_eq!(docker(&["exec", "one", "/bin/sh", "-c", "echo $((6 * 7))"]).success(), "42\n");
    assert!(docker(&["top", "one"]).success().contains("sleep 1000"));
    docker(&["update", "--memory", "48m", "--memory-swap", "48m", "one"]).success();
    let stats = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "one"]).success();
    assert!(stats.trim_end().ends_with("/ 48MiB"), "{stats}");
    docker(&["pause", "one"]).success();
    docker(&["unpause", "one"]).success();
    docker(&["restart", "--time", "0", "one"]).success();
    docker(&["stop", "--time", "0", "one"]).success();
    let exit = docker(&["inspect", "--format", "{{.State.ExitCode}}", "one"]).success();
    assert_eq!(exit, "137\n");
    docker(&["rm", "one"]).success();
    engine.assert_clean();
}

#[test]
fn a_linux_shell_on_a_terminal() {
    let engine = Engine::start();
    let mut shell = docker_terminal(&[&["run", "--rm", "-it"], &OPTIONS[..], &[LINUX]].concat());
    shell.expect("# ");
    shell.send("echo $((6 * 7))\r");
    shell.expect("\n42");
    shell.send("exit 3\r");
    assert_eq!(shell.wait(), 3);
    engine.assert_clean();
}
