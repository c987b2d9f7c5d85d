//! From an image to an exit status: the demo firmware run, killed and deleted by `ctr`.

use micrun_host_tests::Host;
use micrun_host_tests::containerd::{ctr, ctr_piped};
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::isolation;
use micrun_host_tests::micad::mica;
use serde_json::Value;

/// Runs one shell command of the demo, which ends the firmware; answers the exit status of `ctr run`.
fn status_after(command: &str) -> i32 {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send(&format!("{command}\r"));
    let status = console.wait();
    host.delete_container("rtos");
    host.assert_clean();
    status
}

/// Kills a detached demo; answers the exit status that is left for `ctr tasks delete`.
fn status_after_kill(signal: &str) -> i32 {
    let host = Host::start();
    host.run_demo_detached("rtos");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
    host.kill("rtos", signal);
    host.await_task_state("rtos", "STOPPED");
    let status = host.delete_task("rtos");
    host.delete_container("rtos");
    host.assert_clean();
    status
}

/// As an orchestrator has to name it.
#[test]
fn the_shims_log_says_what_it_is_about() {
    let host = Host::configured("log_format = json\n", "");
    let named = ["sandbox-namespace=default", "sandbox-name=motors", "image-name=localhost/motor:1"]
        .map(|pair| format!("io.kubernetes.cri.{pair}"));
    let annotations = named.iter().flat_map(|pair| ["--annotation", pair]);
    let run: Vec<_> =
        ["run", "--detach", "--runtime", MICA].into_iter().chain(annotations).chain([DEMO, "rtos"]).collect();
    ctr(&run).success();
    host.kill("rtos", "SIGKILL");
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 137);
    host.delete_container("rtos");
    // containerd's own lines have another form.
    let log = host.containerd.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    for text in ["started rtos", "deleted rtos"] {
        let line = lines.iter().find(|line| line["msg"] == text).unwrap_or_else(|| panic!("{log}"));
        let fields = ["level", "container", "namespace", "pod", "image"].map(|key| line[key].as_str());
        let namespace = isolation::containerd_namespace();
        let expected = ["info", "rtos", &namespace, "default/motors", "localhost/motor:1"].map(Some);
        assert_eq!(fields, expected, "{line}");
    }
    host.assert_clean();
}

#[test]
fn the_exit_status_of_the_firmware_is_that_of_the_container() {
    assert_eq!(status_after("exit 7"), 7);
}

#[test]
fn an_exit_status_of_zero_is_success() {
    assert_eq!(status_after("exit 0"), 0);
}

#[test]
fn a_crash_ends_like_a_memory_fault() {
    assert_eq!(status_after("crash"), 139);
}

#[test]
fn sigterm_stops_with_143() {
    assert_eq!(status_after_kill("SIGTERM"), 143);
}

#[test]
fn sigkill_stops_with_137() {
    assert_eq!(status_after_kill("SIGKILL"), 137);
}

#[test]
fn sigint_stops_with_130() {
    assert_eq!(status_after_kill("SIGINT"), 130);
}

#[test]
fn another_signal_is_accepted_and_changes_nothing() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    host.kill("rtos", "SIGHUP");
    let mut console = ctr_piped(&["tasks", "attach", "rtos"]);
    console.send("echo still here\r");
    console.expect("\nstill here\r\n");
    assert_eq!(host.task_state("rtos").as_deref(), Some("RUNNING"));
}

/// Frozen, it neither reads nor writes; what was typed meanwhile is answered when it goes on.
#[test]
fn a_paused_firmware_stands_still_until_it_is_resumed() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    ctr(&["tasks", "pause", "rtos"]).success();
    assert_eq!(host.task_state("rtos").as_deref(), Some("PAUSED"));
    assert!(mica(&["status", "rtos"]).success().contains("Suspended"));
    console.send("echo typed while asleep\r");
    ctr(&["tasks", "resume", "rtos"]).success();
    console.expect("\ntyped while asleep\r\n");
    ctr(&["tasks", "pause", "rtos"]).success();
    host.kill("rtos", "SIGTERM");
    assert_eq!(console.wait(), 143, "a paused firmware can be stopped");
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_firmware_that_spins_with_interrupts_off_is_killed() {
    let host = Host::start();
    let mut console = host.run_demo("rtos");
    console.expect(PROMPT);
    console.send("spin\r");
    console.expect("spin");
    host.kill("rtos", "SIGKILL");
    assert_eq!(console.wait(), 137);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_container_can_be_started_again_after_its_task_is_deleted() {
    let host = Host::start();
    ctr(&["containers", "create", "--runtime", MICA, DEMO, "rtos"]).success();
    for status in [3, 4] {
        let mut console = ctr_piped(&["tasks", "start", "rtos"]);
        console.expect(PROMPT);
        console.send(&format!("exit {status}\r"));
        assert_eq!(console.wait(), status);
    }
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn two_containers_run_at_once_and_apart() {
    let host = Host::start();
    let mut first = host.run_demo("first");
    let mut second = host.run_demo("second");
    first.expect(PROMPT);
    second.expect(PROMPT);
    second.send("echo to the second\r");
    second.expect("\nto the second\r\n");
    first.send("exit 1\r");
    assert_eq!(first.wait(), 1);
    assert_eq!(host.task_state("second").as_deref(), Some("RUNNING"));
    second.send("exit 2\r");
    assert_eq!(second.wait(), 2);
    assert!(first.output().starts_with(BANNER) && !first.output().contains("to the second"));
    host.delete_container("first");
    host.delete_container("second");
    host.assert_clean();
}

#[test]
fn a_running_task_cannot_be_deleted_but_by_force() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    let refusal = ctr(&["tasks", "delete", "rtos"]).failure();
    assert!(refusal.contains("must be stopped before deletion"), "{refusal}");
    ctr(&["tasks", "delete", "--force", "rtos"]);
    host.delete_container("rtos");
    host.assert_clean();
}

#[test]
fn a_stopped_task_cannot_be_killed_again() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    host.kill("rtos", "SIGTERM");
    host.await_task_state("rtos", "STOPPED");
    let refusal = ctr(&["tasks", "kill", "rtos"]).failure();
    assert!(refusal.contains("has already finished"), "{refusal}");
    assert_eq!(host.delete_task("rtos"), 143);
}

/// containerd#12344: shims leaked when many containers came and went.
#[test]
fn containerd_12344_no_leak_under_churn() {
    let host = Host::start();
    for _ in 0..2 {
        let ids = ["a", "b", "c", "d"];
        let mut consoles = ids.map(|id| host.run_demo(id));
        for (console, status) in consoles.iter_mut().zip(1..) {
            console.send(&format!("exit {status}\r"));
        }
        for ((console, id), status) in consoles.iter_mut().zip(ids).zip(1..) {
            assert_eq!(console.wait(), status, "{id}");
            host.delete_container(id);
        }
    }
    host.assert_clean();
}

/// Ids may be longer than a mica client's name (65 bytes) in no case without a clear word.
#[test]
fn an_id_of_76_characters_runs_or_is_refused_clearly() {
    let host = Host::start();
    let id = "i".repeat(76);
    let output = ctr(&["run", "--detach", "--runtime", MICA, DEMO, &id]);
    if output.status == 0 {
        host.kill(&id, "SIGKILL");
        host.await_task_state(&id, "STOPPED");
        host.delete_task(&id);
    } else {
        assert!(output.stderr.contains("65"), "{output}");
    }
    host.delete_container(&id);
    host.assert_clean();
}
