//! Ordinary images under our shim. What has a counterpart there is tried on containerd's own shim first: the same
//! test, the same expectation.

use std::fs;

use micrun_host_tests::archive::Image;
use micrun_host_tests::containerd::{command, ctr, ctr_piped, ctr_terminal};
use micrun_host_tests::events::Events;
use micrun_host_tests::host::MICA;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Console, Host, Output, isolation, wait};
use serde_json::Value;

const IMAGE: &str = "localhost/busybox:1";
const ORACLE: &str = "io.containerd.runc.v2";
const BOTH: [&str; 2] = [ORACLE, MICA];
const SLEEP: &str = "exec /bin/busybox sleep 1000";
const SHIM: &str = "containerd-shim-mica-v2";

fn host() -> Host {
    let host = Host::ordinary();
    host.import_image(Image::busybox(IMAGE, &["/bin/busybox", "sh"]));
    host
}

fn args<'a>(runtime: &'a str, options: &[&'a str], script: &'a str) -> Vec<&'a str> {
    [&["run", "--runtime", runtime], options, &[IMAGE, "one", "/bin/busybox", "sh", "-c", script]].concat()
}

fn run(runtime: &str, script: &str) -> Output {
    ctr(&args(runtime, &["--rm"], script))
}

fn run_detached(runtime: &str, script: &str) {
    ctr(&args(runtime, &["--detach"], script)).success();
}

fn exec(id: &str, script: &str) -> Output {
    ctr(&["tasks", "exec", "--exec-id", id, "one", "/bin/busybox", "sh", "-c", script])
}

/// The event that ends a life. The shim of containerd 2.1 may be gone before its very last one is out.
fn last_event(runtime: &str) -> &'static str {
    if runtime == ORACLE { "/tasks/exit" } else { "/tasks/delete" }
}

/// Kills and deletes what [`run_detached`] has started, and looks for leftovers.
#[track_caller]
fn end(host: &Host) {
    host.kill("one", "SIGKILL");
    host.await_task_state("one", "STOPPED");
    assert_eq!(host.delete_task("one"), 137);
    host.delete_container("one");
    host.assert_clean();
}

#[test]
fn the_exit_status_and_both_streams_arrive() {
    let host = host();
    for runtime in BOTH {
        let output = run(runtime, "echo out; echo err >&2; exit 7");
        let parts = (output.stdout.as_str(), output.stderr.as_str(), output.status);
        assert_eq!(parts, ("out\n", "err\n", 7), "{runtime}: {output}");
        host.assert_clean();
    }
}

#[test]
fn a_dialogue_through_pipes_ends_with_its_input() {
    let host = host();
    for runtime in BOTH {
        let mut shell = ctr_piped(&["run", "--rm", "--runtime", runtime, IMAGE, "one"]);
        shell.send("echo $((6 * 7))\n");
        shell.expect("42\n");
        shell.close_input();
        assert_eq!(shell.wait(), 0);
        host.assert_clean();
    }
}

#[test]
fn a_dialogue_on_a_terminal_that_changes_its_size() {
    let host = host();
    for runtime in BOTH {
        let mut shell = ctr_terminal(&["run", "--rm", "--tty", "--runtime", runtime, IMAGE, "one"]);
        shell.expect("# ");
        shell.send("echo $((6 * 7))\r");
        shell.expect("\r\n42\r\n");
        // Asked until it has arrived: nothing else says when that is.
        shell.send("until /bin/busybox stty size | /bin/busybox grep '^50 132'; do :; done\r");
        shell.resize_until(50, 132, || shell.output().contains("\n50 132\r\n"));
        shell.send("exit 3\r");
        assert_eq!(shell.wait(), 3);
        host.assert_clean();
    }
}

#[test]
fn a_flood_is_complete_and_in_order() {
    let host = host();
    for runtime in BOTH {
        let output = run(runtime, "/bin/busybox seq 1 400000");
        let lines: Vec<_> = output.stdout.lines().collect();
        assert_eq!((lines.len(), output.status), (400_000, 0), "{runtime}");
        assert!(lines.iter().zip(1..).all(|(line, at)| *line == at.to_string()), "{runtime}");
        host.assert_clean();
    }
}

#[test]
fn further_processes_have_streams_and_an_exit_status_of_their_own() {
    let host = host();
    for runtime in BOTH {
        run_detached(runtime, SLEEP);
        let output = exec("two", "echo out; echo err >&2; exit 5");
        let parts = (output.stdout.as_str(), output.stderr.as_str(), output.status);
        assert_eq!(parts, ("out\n", "err\n", 5), "{runtime}: {output}");
        // The id is free again.
        assert_eq!(exec("two", "exit 6").status, 6);
        let mut shell =
            ctr_terminal(&["tasks", "exec", "--tty", "--exec-id", "three", "one", "/bin/busybox", "sh"]);
        shell.expect("# ");
        shell.send("exit 4\r");
        assert_eq!(shell.wait(), 4);
        let missing = ctr(&["tasks", "exec", "--exec-id", "four", "one", "/no/such/program"]).failure();
        assert!(missing.contains("/no/such/program"), "{runtime}: {missing}");
        end(&host);
    }
}

#[test]
fn attach_signal_and_delete() {
    let host = host();
    for runtime in BOTH {
        run_detached(runtime, "trap 'echo got TERM' TERM; read x; echo got $x; while :; do read y; done");
        let mut attached = ctr_piped(&["tasks", "attach", "one"]);
        attached.send("word\n");
        attached.expect("got word\n");
        host.kill("one", "SIGTERM");
        attached.expect("got TERM\n");
        host.kill("one", "SIGKILL");
        assert_eq!(attached.wait(), 137);
        // The one who attached and saw the end deletes the task, as ctr does.
        host.delete_container("one");
        host.assert_clean();
    }
}

#[test]
fn a_paused_container_stands_still_and_can_be_killed() {
    let host = host();
    for runtime in BOTH {
        let mut console = ctr_piped(&args(runtime, &[], "while read x; do echo got $x; done"));
        console.send("one\n");
        console.expect("got one\n");
        ctr(&["tasks", "pause", "one"]).success();
        assert_eq!(host.task_state("one").as_deref(), Some("PAUSED"));
        console.send("two\n");
        ctr(&["tasks", "resume", "one"]).success();
        console.expect("got two\n");
        ctr(&["tasks", "pause", "one"]).success();
        host.kill("one", "SIGKILL");
        assert_eq!(console.wait(), 137, "{runtime}");
        host.delete_container("one");
        host.assert_clean();
    }
}

#[test]
fn what_cannot_be_executed_is_named_and_nothing_is_left() {
    let host = host();
    for runtime in BOTH {
        let refusal = ctr(&["run", "--rm", "--runtime", runtime, IMAGE, "one", "/no/such/program"]).failure();
        assert!(refusal.contains("/no/such/program"), "{runtime}: {refusal}");
        ctr(&["containers", "delete", "one"]);
        host.assert_clean();
    }
}

/// Also containerd#9719, #9828: an exit right after the start was published before it, or lost.
#[test]
fn containerd_9719_events_come_in_order_however_short_the_life() {
    let host = host();
    for runtime in BOTH {
        let mut events = Events::listen();
        for round in 0..5 {
            let id = format!("brief-{round}");
            let output =
                ctr(&["run", "--rm", "--runtime", runtime, IMAGE, &id, "/bin/busybox", "sh", "-c", "exit 7"]);
            assert_eq!(output.status, 7, "{runtime}: {output}");
            let seen = events.of_container(&id, last_event(runtime));
            let topics: Vec<_> = seen.iter().map(|event| event.topic.as_str()).collect();
            let life = ["/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"];
            assert!(life.starts_with(&topics) && topics.len() >= 3, "{runtime}: {topics:?}");
            assert_eq!((&seen[2].fields["exit_status"], &seen[2].fields["id"]), (&7.into(), &id.into()));
            assert_eq!(seen[1].fields["pid"], seen[2].fields["pid"]);
        }
        drop(events);
        host.assert_clean();
    }
}

/// containerd#10651: the container's own process ends while another one runs.
#[test]
fn containerd_10651_the_ends_of_further_processes_come_before_that_of_the_container() {
    let host = host();
    for runtime in BOTH {
        let mut events = Events::listen();
        run_detached(runtime, "until [ -e /end ]; do /bin/busybox sleep 0.02; done; exit 9");
        let mut other =
            Console::piped(&mut command(&["tasks", "exec", "--exec-id", "two", "one", "/bin/busybox", "sh"]));
        other.send("echo $((6 * 7))\n");
        other.expect("42\n");
        other.send("echo >/end\n");
        assert_eq!(other.wait(), 137, "{runtime}");
        host.await_task_state("one", "STOPPED");
        assert_eq!(host.delete_task("one"), 9, "{runtime}");
        let seen = wait::until("both ends are told", || {
            let seen = events.of_container("one", last_event(runtime));
            (seen.iter().filter(|event| event.topic == "/tasks/exit").count() == 2).then_some(seen)
        });
        let ends: Vec<_> =
            seen.iter().filter(|e| e.topic == "/tasks/exit").map(|e| &e.fields["id"]).collect();
        assert_eq!(ends, ["two", "one"], "{runtime}");
        let added: Vec<_> = seen.iter().filter(|e| e.topic.starts_with("/tasks/exec")).collect();
        assert_eq!(added.len(), 2, "{runtime}: {seen:?}");
        host.delete_container("one");
        drop((events, other));
        host.assert_clean();
    }
}

/// Without a PID namespace, what the container has started goes with it, and no zombie stays.
#[test]
fn processes_of_a_container_in_the_hosts_pid_namespace_end_with_it() {
    let host = host();
    for runtime in BOTH {
        let script = "(/bin/busybox setsid /bin/busybox sleep 999 &); /bin/busybox sleep 0.1 & wait; exit 2";
        let output = ctr(&args(runtime, &["--rm", "--with-ns", "pid:/proc/1/ns/pid"], script));
        assert_eq!(output.status, 2, "{runtime}: {output}");
        host.assert_clean();
    }
}

#[test]
fn orphans_are_reaped_while_the_container_runs() {
    let host = host();
    run_with_host_pids("(/bin/busybox setsid /bin/busybox true &); exec /bin/busybox sleep 1000");
    wait::until("no zombie is left", || (zombies() == 0).then_some(()));
    end(&host);
}

fn run_with_host_pids(script: &str) {
    ctr(&args(MICA, &["--detach", "--with-ns", "pid:/proc/1/ns/pid"], script)).success();
}

/// Processes that have ended and were not waited for.
fn zombies() -> usize {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = entries.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    stats.filter(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))).count()
}

#[test]
fn all_processes_are_listed() {
    let host = host();
    run_detached(MICA, SLEEP);
    let count = ctr(&["tasks", "ps", "one"]).success().lines().count();
    assert_eq!(count, 2, "a header and a process");
    end(&host);
}

#[test]
fn a_container_lives_on_while_containerd_is_restarted() {
    let mut host = host();
    run_detached(MICA, SLEEP);
    host.containerd.restart();
    assert_eq!(host.task_state("one").as_deref(), Some("RUNNING"));
    assert_eq!(exec("two", "echo still here").success(), "still here\n");
    end(&host);
}

#[test]
fn a_killed_shim_leaves_nothing() {
    let host = host();
    run_detached(MICA, SLEEP);
    let shims = Process::running(SHIM);
    assert_eq!(shims.len(), 1);
    shims[0].kill();
    wait::until("the container is gone", || Process::running("busybox").is_empty().then_some(()));
    wait::until("its end is known", || (host.task_state("one").as_deref() != Some("RUNNING")).then_some(()));
    ctr(&["tasks", "delete", "one"]);
    host.delete_container("one");
    // ctr leaves its own FIFOs behind when a shim dies, whichever shim.
    fs::remove_dir_all("/run/containerd/fifo").expect("ctr made FIFOs");
    host.assert_clean();
}

/// containerd's own shim has a pipe for each stream, and so no order.
#[test]
fn output_for_one_file_stays_in_order() {
    let host = host();
    let out = isolation::state_dir().join("log");
    let uri = format!("file://{}", out.display());
    ctr(&args(MICA, &["--rm", "--log-uri", &uri], "echo one; echo two >&2; echo three")).success();
    assert_eq!(fs::read_to_string(&out).expect("it was written"), "one\ntwo\nthree\n");
    host.assert_clean();
}

#[test]
fn what_a_container_uses_is_measured() {
    let host = host();
    for runtime in BOTH {
        run_detached(runtime, SLEEP);
        let metrics = ctr(&["tasks", "metrics", "--format", "json", "one"]).success();
        let metrics: Value = serde_json::from_str(&metrics).expect("it is JSON");
        // Field names of version 1 and 2.
        let memory = &metrics["memory"]["usage"];
        let memory = memory["usage"].as_u64().or_else(|| memory.as_u64());
        assert!(memory.is_some_and(|bytes| bytes > 0), "{runtime}: {metrics}");
        assert!(metrics["pids"]["current"].as_u64().is_some_and(|count| count > 0), "{runtime}: {metrics}");
        end(&host);
    }
}

#[test]
fn the_want_of_memory_is_told() {
    let host = host();
    for runtime in BOTH {
        let mut events = Events::listen();
        let script = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done";
        let output = ctr(&args(runtime, &["--rm", "--memory-limit", "16777216"], script));
        assert_ne!(output.status, 0, "{runtime}: {output}");
        let seen = events.of_container("one", "/tasks/oom");
        assert!(!seen.is_empty());
        drop(events);
        host.assert_clean();
    }
}
