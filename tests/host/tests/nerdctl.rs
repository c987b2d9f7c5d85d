//! What `nerdctl` does on the wire, one case for each command line: its labels, its log program, its streams.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;

use micrun_host_tests::containerd::{ctr, ctr_terminal};
use micrun_host_tests::firmware::{BANNER, PROMPT};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::{Host, isolation, process, wait};

/// Labels, which nerdctl also makes annotations of.
const LABELS: [&str; 6] = [
    "--label",
    "nerdctl/namespace=default",
    "--label",
    "nerdctl/log-uri=binary:///usr/local/bin/nerdctl",
    "--annotation",
    "nerdctl/hostname=rtos",
];

/// The log program: as nerdctl's it is called with a key and its data folder, and writes a log of JSON lines there.
fn logger() -> String {
    let text = "[ \"$1\" = _NERDCTL_INTERNAL_LOGGING ] || exit 1\nexec 5>&-\n\
                while IFS= read -r line; do printf '{\"log\":\"%s\"}\\n' \"$line\"; done <&3 >>\"$2/log.json\"\n";
    let program = process::script("nerdctl", text);
    let store = isolation::state_dir().join("nerdctl-data");
    fs::create_dir_all(&store).expect("/run is private and writable");
    format!("binary://{}?_NERDCTL_INTERNAL_LOGGING={}", program.display(), store.display())
}

fn run_detached() {
    let uri = logger();
    let args = [&["run", "--detach", "--log-uri", &uri, "--runtime", MICA], &LABELS[..], &[DEMO, "rtos"]];
    ctr(&args.concat()).success();
}

/// `nerdctl logs`: what the log program has written.
#[track_caller]
fn logged(text: &str) {
    let path = isolation::state_dir().join("nerdctl-data/log.json");
    wait::until(&format!("{text:?} is logged"), || {
        fs::read_to_string(&path).ok().filter(|log| log.contains(text)).map(drop)
    });
}

/// `nerdctl stop`: SIGTERM, then the task is deleted.
fn stop(host: &Host) {
    host.kill("rtos", "SIGTERM");
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 143);
}

#[test]
fn nerdctl_run_it() {
    let host = Host::start();
    let args = [&["run", "--rm", "--tty", "--runtime", MICA], &LABELS[..], &[DEMO, "rtos"]].concat();
    let mut terminal = ctr_terminal(&args);
    terminal.expect(PROMPT);
    terminal.resize(40, 120);
    terminal.send("exit 4\r");
    assert_eq!(terminal.wait(), 4);
    host.assert_clean();
}

#[test]
fn nerdctl_run_d_then_logs_stop_and_rm() {
    let host = Host::start();
    run_detached();
    logged(BANNER.trim_end());
    stop(&host);
    host.delete_container("rtos");
    host.assert_clean();
}

/// `nerdctl start` makes a new task of the container, with the same log.
#[test]
fn nerdctl_stop_then_start() {
    let host = Host::start();
    run_detached();
    logged(BANNER.trim_end());
    stop(&host);
    fs::remove_file(isolation::state_dir().join("nerdctl-data/log.json")).expect("it was written");
    ctr(&["tasks", "start", "--detach", "--log-uri", &logger(), "rtos"]).success();
    logged(BANNER.trim_end());
    stop(&host);
    host.delete_container("rtos");
    host.assert_clean();
}

/// `nerdctl rm --force` of one that runs.
#[test]
fn nerdctl_rm_f() {
    let host = Host::start();
    run_detached();
    ctr(&["tasks", "delete", "--force", "rtos"]);
    host.delete_container("rtos");
    host.assert_clean();
}

/// `nerdctl exec` in a firmware without a shell is refused in the words that tools look for.
#[test]
fn nerdctl_exec() {
    let host = Host::start();
    run_detached();
    let refusal = ctr(&["tasks", "exec", "--exec-id", "x", "rtos", "help"]).failure();
    assert!(refusal.contains("micrun does not support exec task"), "{refusal}");
    stop(&host);
    host.delete_container("rtos");
    host.assert_clean();
}
