//! What ends or goes away, and what is there afterwards.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_docker_tests::{Engine, READY, docker_piped, run_detached};
use micrun_host_tests::system::Process;
use nix::sys::signal::Signal;

const LIVE_RESTORE: &str = r#"{"live-restore": true}"#;

fn emulator() -> Process {
    let [emulator] = Process::running("qemu-system-aarch64").try_into().expect("one runs");
    emulator
}

#[test]
fn restart_always_starts_what_has_crashed() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["--restart", "always"]);
    demo.logs(READY, 1);
    emulator().kill();
    demo.logs(READY, 2);
    demo.becomes("{{.RestartCount}} {{.State.Status}}", "1 running");
    demo.remove();
    engine.assert_clean();
}

#[test]
fn restart_on_failure_looks_at_the_firmwares_status() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-i", "--restart", "on-failure:1"]);
    for (times, command) in [(1, "exit 3\r"), (2, "exit\r")] {
        demo.logs(READY, times);
        let mut attached = docker_piped(&["attach", "demo"]);
        attached.send(command);
        attached.wait();
    }
    demo.becomes("{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}", "1 exited 0");
    demo.remove();
    engine.assert_clean();
}

#[test]
fn a_shim_that_was_killed_is_an_end_and_restart_always_knows_it() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["--restart", "always"]);
    demo.logs(READY, 1);
    Process::running("containerd-shim-mica-v2")[0].kill();
    demo.logs(READY, 2);
    demo.becomes("{{.State.Status}}", "running");
    demo.remove();
    engine.assert_clean();
}

/// Without live-restore Docker stops its containers, and those with `--restart=always` begin anew.
#[test]
fn a_restart_of_docker_restarts_the_firmware() {
    let mut engine = Engine::start();
    let (kept, ended) = (run_detached("kept", &["--restart", "always"]), run_detached("ended", &[]));
    kept.logs(READY, 1);
    ended.logs(READY, 1);
    engine.restart_by(Signal::SIGTERM, || assert_eq!(Process::running("qemu-system-aarch64"), []));
    kept.logs(READY, 2);
    assert_eq!(ended.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 143");
    kept.remove();
    ended.remove();
    engine.assert_clean();
}

/// With live-restore the firmware runs on, and its console is there again.
#[test]
fn firmware_outlives_docker_with_live_restore() {
    let mut engine = Engine::configured(LIVE_RESTORE);
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let demo = run_detached("demo", &["-i"]);
        demo.logs(READY, 1);
        let before = emulator().id();
        engine.restart_by(signal, || ());
        assert_eq!((demo.state().as_str(), emulator().id()), ("running", before));
        let mut attached = docker_piped(&["attach", "demo"]);
        attached.send("echo again\r");
        attached.expect("again\r\n");
        attached.send("exit 8\r");
        assert_eq!(attached.wait(), 8);
        demo.remove();
    }
    engine.assert_clean();
}

/// An end while Docker was away is known once it is back, with its status.
#[test]
fn an_end_without_docker_is_known_afterwards() {
    let mut engine = Engine::configured(LIVE_RESTORE);
    let demo = run_detached("demo", &[]);
    demo.logs(READY, 1);
    engine.restart_by(Signal::SIGTERM, || emulator().kill());
    demo.becomes("{{.State.Status}} {{.State.ExitCode}}", "exited 137");
    demo.remove();
}
