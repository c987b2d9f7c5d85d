//! The console of firmware, as `docker` shows it.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_docker_tests::{Engine, READY, docker, docker_piped, docker_terminal, run_detached};
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};

/// Ctrl-P Ctrl-Q, by which a user leaves a container.
const DETACH: &str = "\x10\x11";

#[test]
fn run_it_is_the_firmwares_terminal() {
    let engine = Engine::start();
    let mut terminal = docker_terminal(&["run", "--rm", "-it", "--runtime", MICA, DEMO]);
    terminal.expect(PROMPT);
    terminal.resize(40, 120);
    terminal.send("uname\r");
    terminal.expect("aarch64");
    terminal.expect(PROMPT);
    terminal.send("exit 4\r");
    assert_eq!(terminal.wait(), 4);
    engine.assert_clean();
}

#[test]
fn run_i_ends_with_the_firmware_and_its_status() {
    let engine = Engine::start();
    let mut console = docker_piped(&["run", "--rm", "-i", "--runtime", MICA, DEMO]);
    console.expect(PROMPT);
    console.send("exit 5\r");
    assert_eq!(console.wait(), 5);
    engine.assert_clean();
}

#[test]
fn logs_follow_what_is_typed_by_attach() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-i"]);
    let mut logs = docker_piped(&["logs", "--follow", "demo"]);
    logs.expect(BANNER);
    let mut attached = docker_piped(&["attach", "demo"]);
    attached.send("echo by attach\r");
    attached.expect("by attach\r\n");
    logs.expect("by attach\r\n");
    attached.send("exit 6\r");
    assert_eq!(attached.wait(), 6);
    assert_eq!(logs.wait(), 0);
    assert_eq!(demo.inspect("{{.State.ExitCode}}"), "6");
    demo.remove();
    engine.assert_clean();
}

#[test]
fn the_detach_keys_leave_the_firmware_running() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-it"]);
    for word in ["first", "second"] {
        let mut terminal = docker_terminal(&["attach", "demo"]);
        terminal.send(&format!("echo {word}\r"));
        terminal.expect(&format!("\n{word}"));
        terminal.send(DETACH);
        terminal.wait();
        assert_eq!(demo.state(), "running");
    }
    demo.remove();
    engine.assert_clean();
}

/// `start --attach` begins a stopped container anew, with the same console.
#[test]
fn start_ai_runs_it_again() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-i"]);
    demo.logs(READY, 1);
    docker(&["kill", "demo"]).success();
    let mut console = docker_piped(&["start", "--attach", "--interactive", "demo"]);
    console.expect(PROMPT);
    console.send("exit 7\r");
    assert_eq!(console.wait(), 7);
    demo.remove();
    engine.assert_clean();
}
