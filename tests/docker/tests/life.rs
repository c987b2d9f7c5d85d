//! The life of firmware under Docker's commands.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::Path;

use micrun_docker_tests::{Engine, READY, Running, docker, docker_piped, run_detached};
use micrun_host_tests::micad::mica;
use micrun_host_tests::usage::Usage;
use micrun_host_tests::{isolation, wait};
use serde_json::Value;

/// What a cgroup file of the container says, on version 1 or 2.
fn limit(demo: &Running, controller: &str, v1: &str, v2: &str) -> String {
    let path = Path::new(&isolation::containerd_namespace()).join(demo.inspect("{{.Id}}"));
    let hierarchy = Path::new("/sys/fs/cgroup").join(controller);
    let (hierarchy, file) = if hierarchy.is_dir() { (hierarchy, v1) } else { ("/sys/fs/cgroup".into(), v2) };
    let file = hierarchy.join(path).join(file);
    fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())).trim().to_owned()
}

#[test]
fn pause_and_unpause() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-i"]);
    demo.logs(READY, 1);
    docker(&["pause", "demo"]).success();
    assert_eq!(demo.state(), "paused");
    let mut attached = docker_piped(&["attach", "--no-stdin", "demo"]);
    // Docker itself refuses to attach to what is paused.
    assert_ne!(attached.wait(), 0);
    docker(&["unpause", "demo"]).success();
    let mut attached = docker_piped(&["attach", "demo"]);
    attached.send("echo awake\r");
    attached.expect("awake\r\n");
    demo.remove();
    engine.assert_clean();
}

/// SIGTERM powers firmware off: `stop` does not have to wait for its SIGKILL, and the status says so.
#[test]
fn stop_wait_and_events() {
    let engine = Engine::start();
    let demo = run_detached("demo", &[]);
    let mut waiting = docker_piped(&["wait", "demo"]);
    docker(&["stop", "demo"]).success();
    waiting.expect("143");
    assert_eq!(waiting.wait(), 0);
    assert_eq!(demo.inspect("{{.State.Status}} {{.State.ExitCode}}"), "exited 143");
    docker(&["start", "demo"]).success();
    demo.logs(READY, 2);
    docker(&["kill", "demo"]).success();
    demo.becomes("{{.State.Status}} {{.State.ExitCode}}", "exited 137");
    demo.remove();
    // Docker cuts the end to a whole second: the next one.
    let args = ["--since=0", "--until=-1s", "--filter=type=container", "--format={{.Action}}"];
    let events = docker(&[&["events"], &args[..]].concat()).success();
    // Docker tells `stop` before or after `die`.
    let (stops, events): (Vec<_>, Vec<_>) = events.lines().partition(|event| *event == "stop");
    assert_eq!(stops.len(), 1);
    assert_eq!(events, ["create", "start", "kill", "die", "start", "kill", "die", "destroy"]);
    engine.assert_clean();
}

#[test]
fn restart_is_a_power_cycle() {
    let engine = Engine::start();
    let demo = run_detached("demo", &[]);
    demo.logs(READY, 1);
    docker(&["restart", "demo"]).success();
    demo.logs(READY, 2);
    assert_eq!(demo.state(), "running");
    demo.remove();
    engine.assert_clean();
}

/// The firmware itself is no process of Linux: what is shown is the shim.
#[test]
fn top_and_stats() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["--memory", "64m"]);
    demo.logs(READY, 1);
    let top = docker(&["top", "demo"]).success();
    assert!(top.contains("containerd-shim-mica-v2"), "{top}");
    let stats = docker(&["stats", "--no-stream", "--format", "{{.MemUsage}}", "demo"]).success();
    let (used, limit) = stats.trim_end().split_once(" / ").expect("both are shown");
    // The machine's 64 MiB and what the emulator may take beside them.
    assert_eq!(limit, "192MiB");
    let used: f64 = used.strip_suffix("MiB").and_then(|it| it.parse().ok()).expect("an emulator's memory");
    assert!(used > 5.0, "{stats}");
    demo.remove();
    engine.assert_clean();
}

/// Whoever asks gets the kernel's numbers of the container's cgroup.
#[test]
fn docker_ctr_and_mica_tell_the_same_numbers() {
    let engine = Engine::start();
    let demo = run_detached("demo", &[]);
    demo.logs(READY, 1);
    let id = demo.inspect("{{.Id}}");
    let number = |from: &Value, place: &str| from.pointer(place).and_then(Value::as_u64).expect(place);
    let of_docker = |place: &str| {
        let stats = demo.stats();
        (number(&stats, "/cpu_stats/cpu_usage/total_usage") / 1000, number(&stats, place))
    };
    let of_mica = |place: &str| {
        let stats: Value =
            serde_json::from_str(&mica(&["stats", &id, "--json"]).success()).expect("a document");
        (number(&stats, "/cpu_usec"), number(&stats, place))
    };
    let look = || Usage::of(&id);
    Usage::assert_same(look, |usage| usage.memory, || of_docker("/memory_stats/usage"));
    Usage::assert_same(look, |usage| usage.memory, || of_mica("/memory_bytes"));
    Usage::assert_same(look, |usage| usage.processes, || of_docker("/pids_stats/current"));
    Usage::assert_same(look, |usage| usage.processes, || of_mica("/processes"));
    demo.remove();
    engine.assert_clean();
}

#[test]
fn update_changes_the_limits_of_what_runs() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["--memory", "64m", "--cpus", "1"]);
    docker(&["update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.5", "demo"]).success();
    let memory = limit(&demo, "memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!(memory, (224_u64 << 20).to_string());
    let quota = limit(&demo, "cpu", "cpu.cfs_quota_us", "cpu.max");
    assert_eq!(quota.split(' ').next(), Some("50000"));
    docker(&["update", "--cpuset-cpus", "0", "demo"]).success();
    assert_eq!(limit(&demo, "cpuset", "cpuset.cpus", "cpuset.cpus"), "0");
    demo.remove();
    engine.assert_clean();
}

#[test]
fn rm_needs_force_for_what_runs() {
    let engine = Engine::start();
    let demo = run_detached("demo", &[]);
    assert!(docker(&["rm", "demo"]).failure().contains("demo"));
    demo.remove();
    assert!(docker(&["ps", "--all", "--quiet"]).success().is_empty());
    engine.assert_clean();
}

#[test]
fn a_crash_is_its_status() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["-i"]);
    let mut attached = docker_piped(&["attach", "demo"]);
    attached.send("crash\r");
    let status = attached.wait();
    assert_ne!(status, 0, "{}", attached.output());
    wait::until("it has ended", || (demo.state() == "exited").then_some(()));
    assert_eq!(demo.inspect("{{.State.ExitCode}}"), status.to_string());
    demo.remove();
    engine.assert_clean();
}
