//! The wrapper around every test: what it hides, and that nothing survives it.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use libmica::names;
use micrun_host_tests::console::Console;
use micrun_host_tests::leftovers::Inventory;
use micrun_host_tests::system::Process;
use micrun_host_tests::{Host, isolation, process, wait};
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

/// micad closes the connection of a client behind its answer, on a machine that stalls long behind: a test that counted
/// it waited for it to come back.
#[test]
fn a_connection_that_was_open_before_is_not_missed() {
    let _host = Host::start();
    let descriptors = || Process::running("micad")[0].descriptors().expect("micad runs");
    let before = descriptors();
    let connect = || {
        let socket = Path::new(names::RUNTIME_DIR).join(names::CREATE_SOCKET);
        UnixStream::connect(socket).expect("micad accepts connections")
    };
    let connection = connect();
    wait::until("micad has accepted it", || (descriptors() > before).then_some(()));
    let inventory = Inventory::take();
    drop(connection);
    wait::until("micad has closed it", || (descriptors() == before).then_some(()));
    assert_eq!(inventory.difference(), [] as [String; 0]);
    // What is open now and was not is left behind.
    let inventory = Inventory::take();
    let _connection = connect();
    wait::until("micad has accepted it", || (descriptors() > before).then_some(()));
    let difference = inventory.difference();
    assert!(difference.len() == 1 && difference[0].contains("descriptors of micad"), "{difference:?}");
}
