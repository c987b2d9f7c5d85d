//! Commands for the firmware's shell.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use micrun_docker_tests::{Engine, WITH_PROMPT, docker, docker_terminal, run_detached};

#[test]
fn exec_runs_a_command_of_the_firmware() {
    let engine = Engine::start();
    let demo = run_detached("demo", &WITH_PROMPT);
    let said = docker(&["exec", "demo", "uname"]).success();
    assert!(said.starts_with("FreeRTOS"), "{said}");
    let unknown = docker(&["exec", "demo", "nosuch"]);
    assert_eq!(unknown.status, 127, "{unknown}");
    let mut terminal = docker_terminal(&["exec", "-it", "demo", "echo", "on", "a", "terminal"]);
    terminal.expect("on a terminal");
    assert_eq!(terminal.wait(), 0);
    demo.remove();
    engine.assert_clean();
}

#[test]
fn exec_without_a_prompt_says_what_is_missing() {
    let engine = Engine::start();
    let demo = run_detached("demo", &[]);
    let refused = docker(&["exec", "demo", "uname"]);
    assert_ne!(refused.status, 0);
    assert!(format!("{refused}").contains("container.shell_prompt must name its prompt"), "{refused}");
    demo.remove();
    engine.assert_clean();
}

/// Docker puts `/bin/sh -c` before the command of a health check.
#[test]
fn a_health_check_asks_the_firmwares_shell() {
    let engine = Engine::start();
    let often = ["--health-interval", "200ms", "--health-retries", "2"];
    for (command, health) in [("uname", "healthy"), ("nosuch", "unhealthy")] {
        let options = [&WITH_PROMPT[..], &often[..], &["--health-cmd", command]].concat();
        let demo = run_detached("demo", &options);
        demo.becomes("{{.State.Health.Status}}", health);
        demo.remove();
    }
    engine.assert_clean();
}
