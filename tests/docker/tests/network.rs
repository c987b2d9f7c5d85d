//! Docker gives each container a network, which firmware has no use for and its neighbours do.

#![allow(clippy::expect_used, reason = "a failed step fails the test")]

use std::process::Command;

use micrun_docker_tests::{Engine, LINUX, docker, run_detached};
use micrun_host_tests::host::MICA;
use micrun_host_tests::{process, wait};

/// The names of the machine's interfaces.
fn interfaces() -> Vec<String> {
    let said = process::run(Command::new("ip").args(["-brief", "link"])).success();
    let names = said.lines().filter_map(|line| line.split_whitespace().next());
    names.map(|name| name.split('@').next().expect("one part").to_owned()).collect()
}

/// Docker finds a container's network by its process id, which is a thread of the shim.
#[test]
fn the_default_network_is_the_containers_and_not_the_machines() {
    let _engine = Engine::start();
    let before = interfaces();
    for options in [&[][..], &["--network", "none"], &["--network", "host"]] {
        let demo = run_detached("demo", options);
        assert!(!interfaces().contains(&"eth0".to_owned()), "{:?}", interfaces());
        demo.remove();
        wait::until("the interfaces are as before", || (interfaces() == before).then_some(()));
    }
}

/// A Linux container beside the firmware, in the same network.
#[test]
fn a_neighbour_joins_the_firmwares_network() {
    let engine = Engine::start();
    let demo = run_detached("demo", &["--network", "none"]);
    let run = |network: &str| {
        let args = ["run", "--rm", "--runtime", MICA, "--network", network, LINUX];
        docker(&[&args[..], &["/bin/busybox", "readlink", "/proc/self/ns/net"]].concat()).success()
    };
    let joined = run("container:demo");
    let machine = std::fs::read_link("/proc/self/ns/net").expect("/proc is mounted");
    assert_ne!(joined.trim_end(), machine.to_str().expect("UTF-8"));
    assert_ne!(joined, run("none"));
    assert_eq!(joined, run("container:demo"));
    demo.remove();
    engine.assert_clean();
}
