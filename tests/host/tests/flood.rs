//! A firmware that prints more than anybody reads.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::thread;

use micrun_host_tests::Host;
use micrun_host_tests::console::terminal_size;
use micrun_host_tests::containerd::{ctr, ctr_terminal};
use micrun_host_tests::firmware::PROMPT;
use micrun_host_tests::host::{DEMO, MICA};
use micrun_host_tests::wait;

/// The FIFOs that ctr made for a detached container, which it leaves to whoever attaches.
fn fifo(stream: &str) -> PathBuf {
    let folders = fs::read_dir("/run/containerd/fifo").expect("ctr makes its FIFOs there");
    let mut paths = folders.flatten().map(|folder| folder.path().join(format!("rtos-{stream}")));
    paths.find(|path| path.exists()).expect("the container has FIFOs")
}

fn type_in(line: &str) {
    let mut stdin = File::options().write(true).open(fifo("stdin")).expect("stdin can be opened");
    stdin.write_all(line.as_bytes()).expect("stdin can be written");
}

/// With nobody at the other end of stdout, QEMU's main loop once stood still, and with it pause and all the rest.
#[test]
fn a_fifo_that_nobody_reads_does_not_hold_the_machine_up() {
    let host = Host::start();
    host.run_demo_detached("rtos");
    type_in("flood 1000000\r");
    wait::until("the shim gives up waiting", || {
        host.containerd.log().contains("output is being lost").then_some(())
    });
    ctr(&["tasks", "pause", "rtos"]).success();
    host.await_task_state("rtos", "PAUSED");
    ctr(&["tasks", "resume", "rtos"]).success();
    host.kill("rtos", "SIGTERM");
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 143);
    host.delete_container("rtos");
    fs::remove_dir_all("/run/containerd/fifo").expect("ctr made FIFOs");
    host.assert_clean();
}

/// Both ends of the FIFO are held by the shim, so that its reader may outlive containerd and sees no end.
#[test]
fn a_flood_goes_on_through_a_restart_of_containerd() {
    const LINES: usize = 8_000;
    let mut host = Host::start();
    host.run_demo_detached("rtos");
    let mut stdout = File::open(fifo("stdout")).expect("stdout can be opened");
    let reader = thread::spawn(move || {
        let mut text = String::new();
        stdout.read_to_string(&mut text).map(|_| text)
    });
    type_in(&format!("flood {LINES}\rexit 4\r"));
    host.containerd.restart();
    host.await_task_state("rtos", "STOPPED");
    assert_eq!(host.delete_task("rtos"), 4);
    let text = reader.join().expect("the reader does not panic").expect("stdout can be read");
    let lines = text.lines().filter_map(|line| line.strip_prefix("flood ")?.strip_suffix(" the lazy dog"));
    let numbers: Vec<usize> = lines.filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    assert_eq!(numbers.len(), LINES, "{:?}", text.get(..300));
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "a line is out of order");
}

#[test]
fn the_console_has_the_size_of_the_terminal() {
    let _host = Host::start();
    let mut console = ctr_terminal(&["run", "--rm", "--tty", "--runtime", MICA, DEMO, "rtos"]);
    console.expect(PROMPT);
    let size = || terminal_size("/run/mica/ttyRPMSG_rtos_0");
    wait::until("the size at the start arrives", || (size() == "24 80").then_some(()));
    console.resize_until(50, 132, || size() == "50 132");
    console.send("exit 0\r");
    assert_eq!(console.wait(), 0);
}
