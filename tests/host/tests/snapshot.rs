//! An image that has the state of a machine: its containers go on from it.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::PathBuf;

use micrun_host_tests::console::Console;
use micrun_host_tests::containerd::ctr_piped;
use micrun_host_tests::firmware::{self, BANNER, PROMPT, builder};
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::micad::mica;
use micrun_host_tests::{Host, isolation};

const NAME: &str = "localhost/micrun/snapshot:1";

fn run(image: &str) -> Console {
    ctr_piped(&["run", "--runtime", MICA, image, "rtos"])
}

/// An archive with the demo's image and the state of its machine, in which a line is half typed.
fn snapshot(host: &Host) -> PathBuf {
    let mut console = run(DEMO);
    console.expect(PROMPT);
    console.send("echo kept in mem");
    console.expect("kept in mem");
    let state = isolation::state_dir().join("state");
    let state = state.to_str().unwrap();
    mica(&["checkpoint", "rtos", state]).success();
    console.send("\r");
    console.expect(PROMPT);
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
    host.delete_container("rtos");
    let archive = isolation::state_dir().join("snapshot.tar");
    let base = firmware::pack(&firmware::demo(), DEMO, &[]);
    let (base, output) = (base.to_str().unwrap(), archive.to_str().unwrap());
    builder(&["append", base, "--state", state, "--tag", NAME, "--output", output]).success();
    archive
}

#[test]
fn containers_go_on_from_the_state_in_their_image() {
    let host = Host::configured("allow_restore = true\n", "");
    host.import(&snapshot(&host));
    for _ in 0..2 {
        let mut console = run(NAME);
        console.send("ory\r");
        console.expect("\nkept in memory\r\n");
        assert!(!console.output().contains(BANNER.trim()), "it did not boot: {}", console.output());
        console.send("exit 5\r");
        assert_eq!(console.wait(), 5);
        host.delete_container("rtos");
    }
    let smaller = "org.openeuler.micrun.runtime.max_container_memory=32";
    host.assert_refused(NAME, &["--annotation", smaller], &["its memory in MiB was 64 and is 32"]);
}

#[test]
fn a_state_in_an_image_needs_the_hosts_permission() {
    let host = Host::configured("", "");
    host.import(&snapshot(&host));
    host.assert_refused(NAME, &[], &["to go on from a checkpoint is not allowed", "allow_restore"]);
}
