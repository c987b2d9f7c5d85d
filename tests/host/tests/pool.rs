//! Containers whose machines had waited for them.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs;

use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::micad::mica;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, wait};

const EMULATOR: &str = "qemu-system-aarch64";

/// The emulator that is in the cgroup of this container, and whether it had waited.
fn emulator_of(id: &str) -> Option<bool> {
    let found = Process::running(EMULATOR).into_iter().find(|process| {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", process.id())).unwrap_or_default();
        groups.lines().any(|line| line.ends_with(&format!("/{id}")))
    })?;
    let line = fs::read_to_string(format!("/proc/{}/cmdline", found.id())).expect("it runs");
    Some(line.contains("waiting-"))
}

fn until_one_waits() {
    wait::until("a machine waits", || {
        mica(&["version"]).stdout.contains("waiting machines: 1 of 1").then_some(())
    });
}

#[test]
fn a_container_gets_a_machine_that_waited() {
    // The machine that tests it may be short of memory, which is looked up below that directory.
    let host = Host::configured("", "[Micad]\nWaitingMachines = 1\nSysfsRoot = /nowhere\n");
    let mut first = host.run_demo("first");
    first.expect(PROMPT);
    assert_eq!(emulator_of("first"), Some(false));
    for number in 0..3 {
        until_one_waits();
        let mut console = host.run_demo("again");
        console.expect(PROMPT);
        assert_eq!(emulator_of("again"), Some(true), "round {number}");
        console.send("exit 7\r");
        assert_eq!(console.wait(), 7);
        host.delete_container("again");
    }
    first.send("echo still here\r");
    first.expect("\nstill here\r\n");
    let said = mica(&["version"]).stdout;
    assert!(said.contains("3 hits, 1 misses"), "{said}");
}
