//! The wrapper around every test: what it hides, and that nothing survives it.

use std::fs;
use std::path::Path;
use std::process::Command;

use micrun_host_tests::console::Console;
use micrun_host_tests::system::Process;
use micrun_host_tests::{isolation, process, wait};
use nix::sys::signal::Signal;

fn isolated(script: &str) -> Command {
    isolation::require();
    let mut command = Command::new(isolation::workspace().join("tests/host/isolated"));
    command.args(["sh", "-c", script]);
    command
}

#[test]
fn the_status_of_the_command_is_passed_on() {
    assert_eq!(process::run(&mut isolated("exit 7")).status, 7);
}

#[test]
fn what_is_in_run_is_not_seen_from_another_run() {
    let (ours, theirs) = ("/run/ours", "/run/theirs");
    fs::write(ours, "").expect("/run is private and writable");
    process::run(&mut isolated(&format!("test ! -e {ours} && touch {theirs}"))).success();
    assert!(!Path::new(theirs).exists());
}

#[test]
fn only_the_loopback_is_there() {
    let links = process::run(&mut isolated("ip -brief link")).success();
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.starts_with("lo ") && links.contains("LOOPBACK,UP"), "{links}");
}

#[test]
fn nothing_survives_the_end_of_the_command() {
    process::run(&mut isolated("setsid sleep 1234 & echo started")).success();
    assert_eq!(Process::running("sleep"), []);
}

#[test]
fn nothing_survives_when_the_wrapper_is_killed() {
    let console = Console::piped(&mut isolated("setsid sleep 1234"));
    wait::until("the command runs", || (Process::running("sleep").len() == 1).then_some(()));
    console.signal(Signal::SIGKILL);
    wait::until("the command is gone", || Process::running("sleep").is_empty().then_some(()));
}
