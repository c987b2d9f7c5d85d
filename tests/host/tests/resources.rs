//! Limits, numbers, commands and checkpoints, by `ctr`.

#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

use micrun_host_tests::Host;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::events::Events;
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::isolation;
use micrun_host_tests::micad::mica;
use micrun_host_tests::system::Process;
use micrun_host_tests::usage::Usage;
use micrun_host_tests::wait;
use serde_json::Value;

const EMULATOR: &str = "qemu-system-aarch64";
const MIB: u64 = 1 << 20;
const PROMPT_ANNOTATION: &str = "org.openeuler.micrun.container.shell_prompt=micrun>";

/// The cgroup of a container in the hierarchy with this controller, on version 1 or 2.
fn cgroup(controller: &str, id: &str) -> PathBuf {
    let path = Path::new(&isolation::containerd_namespace()).join(id);
    let v1 = Path::new("/sys/fs/cgroup").join(controller);
    if v1.is_dir() { v1.join(path) } else { Path::new("/sys/fs/cgroup").join(path) }
}

fn read(controller: &str, id: &str, v1: &str, v2: &str) -> String {
    let dir = cgroup(controller, id);
    let text = fs::read_to_string(dir.join(v1)).or_else(|_| fs::read_to_string(dir.join(v2)));
    text.unwrap_or_else(|error| panic!("{}: {error}", dir.display())).trim().to_owned()
}

fn run(id: &str, options: &[&str]) -> micrun_host_tests::Console {
    ctr_piped(&[&["run", "--runtime", MICA], options, &[DEMO, id]].concat())
}

#[test]
fn the_emulator_lives_in_the_containers_cgroup_and_its_numbers_are_the_kernels() {
    let host = Host::start();
    let mut console = run("rtos", &["--memory-limit", "67108864", "--cpu-shares", "512"]);
    console.expect(PROMPT);
    let limit = 64 * MIB + 128 * MIB;
    assert_eq!(read("memory", "rtos", "memory.limit_in_bytes", "memory.max"), limit.to_string());
    let pid = Process::running(EMULATOR)[0].id().to_string();
    for controller in ["memory", "cpu", "cpuset", "pids", "blkio"] {
        let procs = fs::read_to_string(cgroup(controller, "rtos").join("cgroup.procs")).unwrap();
        assert_eq!(procs.trim(), pid, "{controller}");
    }
    let first = Usage::of("rtos");
    assert!(first.cpu_usec > 0 && first.memory > 10 * MIB && first.memory < limit, "{first:?}");
    console.send("hoard 40\r");
    console.expect("touched 40 MiB");
    let second = Usage::of("rtos");
    assert!(second.cpu_usec > first.cpu_usec);
    // Not all 40: a huge page may have been there already.
    assert!(second.memory >= first.memory + 30 * MIB, "{first:?} then {second:?}");
    assert!(ctr(&["tasks", "metrics", "rtos"]).success().contains("memory"));
    // The commands of `mica` say the same.
    for (command, place) in [(&["stats", "rtos", "--json"][..], ""), (&["ps", "--json"], "/clients/0/usage")]
    {
        let look = |field: &str| {
            let said: Value = serde_json::from_str(&mica(command).success()).unwrap();
            let usage = said.pointer(place).unwrap();
            assert_eq!(usage["of"], "cgroup", "{said}");
            (usage["cpu_usec"].as_u64().unwrap(), usage[field].as_u64().unwrap())
        };
        Usage::assert_same(|| Usage::of("rtos"), |usage| usage.memory, || look("memory_bytes"));
        Usage::assert_same(|| Usage::of("rtos"), |usage| usage.processes, || look("processes"));
    }
    let said = mica(&["stats", "rtos"]).success();
    assert!(said.contains("numbers of    its cgroup, as in the container's metrics"), "{said}");
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    assert!(!cgroup("memory", "rtos").exists() && !cgroup("pids", "rtos").exists());
    host.assert_clean();
}

/// What is in use plus a little is all that it may have from now on.
#[test]
fn a_firmware_that_needs_too_much_memory_ends_with_an_oom_event_and_137() {
    let host = Host::start();
    let mut events = Events::listen();
    let mut console = run("rtos", &["--memory-limit", "67108864"]);
    console.expect(PROMPT);
    let used: u64 = read("memory", "rtos", "memory.usage_in_bytes", "memory.current").parse().unwrap();
    let dir = cgroup("memory", "rtos");
    let limit = (used + 4 * MIB).to_string();
    // The lower of the two first, and without swap, where it is accounted for.
    for file in ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max"] {
        if dir.join(file).exists() {
            fs::write(dir.join(file), &limit).unwrap();
        }
    }
    console.send("hoard 40\r");
    assert_eq!(console.wait(), 137);
    let topics: Vec<_> =
        events.of_container("rtos", "/tasks/delete").into_iter().map(|event| event.topic).collect();
    assert_eq!(topics, ["/tasks/create", "/tasks/start", "/tasks/oom", "/tasks/exit", "/tasks/delete"]);
    drop(events);
    assert!(host.containerd.log().contains("needed more memory than its limit allows"));
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_limit_that_the_firmware_does_not_fit_is_refused_and_leaves_nothing() {
    let host = Host::start();
    let refusal = ctr(&["run", "--runtime", MICA, "--memory-limit", "1048576", DEMO, "rtos"]).failure();
    assert!(refusal.contains("memory") || refusal.contains("RAM"), "{refusal}");
    assert!(!cgroup("memory", "rtos").exists());
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn exec_runs_a_command_in_the_firmwares_shell_beside_the_console() {
    let host = Host::start();
    let mut events = Events::listen();
    let mut console = run("rtos", &["--annotation", PROMPT_ANNOTATION]);
    console.expect(PROMPT);
    let exec = |id: &str, args: &[&str]| ctr(&[&["tasks", "exec", "--exec-id", id, "rtos"], args].concat());
    assert_eq!(
        exec("one", &["uname"]).success(),
        "FreeRTOS V11.1.0 micrun-demo aarch64\n".replace("V11.1.0", &version(&mut console))
    );
    assert_eq!(exec("two", &["echo", "a", "b"]).success(), "a b\n");
    let unknown = exec("three", &["nonsense"]);
    assert_eq!(
        (unknown.status, unknown.stdout.as_str()),
        (127, "nonsense: no such command; help lists them\n")
    );
    let long = exec("four", &["flood", "3000"]).success();
    assert_eq!(
        (long.lines().count(), long.lines().last().unwrap().split(' ').nth(1)),
        (3000, Some("0000003000"))
    );
    console.send("echo undisturbed\r");
    console.expect("\nundisturbed\r\n");
    events.settle();
    console.send("exit 3\r");
    assert_eq!(console.wait(), 3);
    let of_two: Vec<_> = events
        .of_container("rtos", "/tasks/delete")
        .into_iter()
        .filter(|event| event.fields["exec_id"] == "two" || event.fields["id"] == "two")
        .map(|event| event.topic)
        .collect();
    drop(events);
    assert_eq!(of_two, ["/tasks/exec-added", "/tasks/exec-started", "/tasks/exit"]);
    host.delete_container("rtos");
    host.assert_clean();
}

/// What the console's `uname` says is the kernel's version.
fn version(console: &mut micrun_host_tests::Console) -> String {
    console.send("uname\r");
    let text = console.expect(" micrun-demo");
    text.trim_end_matches(" micrun-demo").rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn exec_without_a_shell_is_refused_with_the_reason() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    let refusal = ctr(&["tasks", "exec", "--exec-id", "one", "rtos", "uname"]).failure();
    // The code is UNIMPLEMENTED, which ctr of containerd 2.1 does not show; the conformance suite has it.
    assert!(refusal.contains("does not support exec task") && refusal.contains("shell_prompt"), "{refusal}");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
}

#[test]
fn an_exec_that_never_ends_is_killed_alone() {
    let host = Host::start();
    let mut console = run("rtos", &["--annotation", PROMPT_ANNOTATION]);
    console.expect(PROMPT);
    let mut flood = ctr_piped(&["tasks", "exec", "--exec-id", "one", "rtos", "flood", "4000000000"]);
    flood.expect("0000000100");
    ctr(&["tasks", "kill", "--exec-id", "one", "--signal", "SIGKILL", "rtos"]).success();
    assert_eq!(flood.wait(), 137);
    console.send("echo alive\r");
    console.expect("\nalive\r\n");
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_checkpoint_is_an_image_from_which_a_container_goes_on() {
    let host = Host::configured("allow_restore = true\n", "");
    let mut console = run("rtos", &[]);
    console.expect(PROMPT);
    console.send("echo kept in mem");
    console.expect("kept in mem");
    let name = "localhost/micrun/checkpoint:1";
    ctr(&["containers", "checkpoint", "--image", "--rw", "--task", "rtos", name]).success();
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"), "ctr freezes it only meanwhile");
    console.send("ory\r");
    console.expect("\nkept in memory\r\n");
    console.send("exit 4\r");
    assert_eq!(console.wait(), 4);
    host.delete_container("rtos");

    // Without a terminal ctr leaves what it has restored to itself.
    ctr(&["containers", "restore", "--live", "again", name]).success();
    let mut console = ctr_piped(&["tasks", "attach", "again"]);
    console.send("ent\r");
    console.expect("\nkept in mement\r\n");
    assert!(!console.output().contains(BANNER.trim()), "it did not boot: {}", console.output());
    console.send("exit 5\r");
    assert_eq!(console.wait(), 5);
    host.delete_container("again");
}

/// containerd 1.6 refuses a second one of the same container: the specification is in its store already.
#[test]
fn ctr_tasks_checkpoint_makes_an_image_with_the_state() {
    let host = Host::start();
    let mut console = run("rtos", &[]);
    console.expect(PROMPT);
    let said = ctr(&["tasks", "checkpoint", "rtos"]).success();
    let image = said.trim();
    assert!(image.contains("checkpoint"), "{said}");
    assert!(ctr(&["images", "ls", "--quiet"]).success().lines().any(|line| line == image));
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    host.assert_clean();
}

/// containerd cleans up after a dead shim by its `delete`.
#[test]
fn a_killed_shim_leaves_no_cgroup() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    assert!(cgroup("memory", "rtos").exists());
    Process::running("containerd-shim-mica-v2")[0].kill();
    wait::until("the task is gone", || host.task_state("rtos").is_none().then_some(()));
    host.delete_container("rtos");
    // containerd forgets the task before the clean-up is through.
    wait::until("emulator and cgroup are gone", || {
        (!cgroup("memory", "rtos").exists() && Process::running(EMULATOR).is_empty()).then_some(())
    });
    // Not clean: the FIFOs are ctr's, which deletes them with a task that is gone now.
}
