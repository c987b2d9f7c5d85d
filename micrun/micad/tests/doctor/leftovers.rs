//! What the dead leave.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::machine::{MICAD, Machine};

const OWNER: &str = r#"{"version":2,"namespace":"default","id":"rtos","cgroups_path":"/default/rtos","pid":300,"started":77}"#;
const TASKS: &str = "run/containerd/io.containerd.runtime.v2.task";

#[test]
fn a_client_that_the_daemon_does_not_have() {
    let mut machine = Machine::new();
    let state = r#"{"version":1,"run":{"process":{"pid":300,"start_time":77}},"exit":null}"#;
    machine.write("run/mica/clients/rtos/state.json", state);
    machine.mode("run/mica/clients/rtos", 0o700);
    let findings = machine.examine();
    findings.assert(
        "leftovers.clients",
        "warning",
        "micad does not have the client of /run/mica/clients/rtos",
    );
    findings.assert_only(&["leftovers.clients"]);

    machine.stop_micad();
    machine.remove(&format!("proc/{MICAD}"));
    machine.examine().assert(
        "leftovers.clients",
        "warning",
        "rtos was running in process 300, which is gone",
    );
    machine.alive(300, 78);
    machine.examine().assert("leftovers.clients", "warning", "which is gone");
    machine.alive(300, 77);
    machine.examine().assert("leftovers.clients", "note", "rtos runs in process 300 without a daemon");
    machine.write("run/mica/clients/rtos/state.json", &state.replace("null", "{}"));
    machine.examine().assert("leftovers.clients", "ok", "none");
}

#[test]
fn a_container_whose_shim_is_dead() {
    let machine = Machine::new();
    machine.write("run/micrun/containers/rtos/state.json", OWNER);
    let findings = machine.examine();
    findings.assert("leftovers.containers", "warning", "container rtos, whose shim, process 300, is dead");
    findings.assert_only(&["leftovers.containers"]);
    machine.alive(300, 77);
    machine.examine().assert("leftovers.containers", "ok", "none");
    machine.write("run/micrun/containers/rtos/state.json", "{");
    machine.examine().assert("leftovers.containers", "warning", "does not say whose it is");
}

#[test]
fn a_linux_container_without_a_task() {
    let machine = Machine::new();
    machine.write("run/micrun/linux/k8s.io/side/status", "{}");
    machine.examine().assert(
        "leftovers.containers",
        "warning",
        "/run/micrun/linux/k8s.io/side is of a container without",
    );
    fs::create_dir_all(machine.path(TASKS).join("k8s.io/side")).unwrap();
    machine.examine().assert("leftovers.containers", "ok", "none");
}

#[test]
fn sockets_and_links_that_lead_nowhere() {
    let mut machine = Machine::new();
    machine.link("run/mica/ttyRPMSG_gone_0", "/dev/pts/no-such-terminal");
    machine.examine().assert(
        "leftovers.sockets",
        "warning",
        "/run/mica/ttyRPMSG_gone_0 leads to no terminal",
    );
    machine.remove("run/mica/ttyRPMSG_gone_0");
    drop(UnixListener::bind(machine.path("run/mica/gone.socket")).unwrap());
    machine.mode("run/mica/gone.socket", 0o600);
    machine.examine().assert("leftovers.sockets", "warning", "/run/mica/gone.socket is of no client");
    machine.stop_micad();
    machine.remove(&format!("proc/{MICAD}"));
    machine.examine().assert("leftovers.sockets", "note", "of a daemon that was killed");
}

#[test]
fn cgroups_without_a_task_and_a_process() {
    let machine = Machine::new();
    machine.write("sys/fs/cgroup/default/rtos/cgroup.procs", "");
    machine.examine().assert("leftovers.cgroups", "warning", "/sys/fs/cgroup/default/rtos is of no task");
    machine.write("sys/fs/cgroup/default/rtos/cgroup.procs", "300\n");
    machine.examine().assert("leftovers.cgroups", "ok", "none");
    machine.write("sys/fs/cgroup/default/rtos/cgroup.procs", "");
    fs::create_dir_all(machine.path(TASKS).join("default/rtos")).unwrap();
    machine.examine().assert("leftovers.cgroups", "ok", "none");
    // Version 1, and a namespace that has containers.
    machine.write("sys/fs/cgroup/memory/cgroup.procs", "1\n");
    machine.write("sys/fs/cgroup/memory/k8s.io/old/cgroup.procs", "");
    fs::create_dir_all(machine.path(TASKS).join("k8s.io/new")).unwrap();
    machine.examine().assert(
        "leftovers.cgroups",
        "warning",
        "/sys/fs/cgroup/memory/k8s.io/old is of no task",
    );
}

/// As systemd 252 writes it for `systemd-run --scope`.
fn scope(machine: &Machine, name: &str, description: &str) {
    machine.write(
        &format!("run/systemd/transient/{name}"),
        &format!(
            "# This is a transient unit file.\n[Unit]\nDescription={description}\n[Scope]\nDelegate=yes\n"
        ),
    );
}

#[test]
fn scopes_of_containers_that_are_gone() {
    let machine = Machine::new();
    scope(&machine, "session-1.scope", "Session 1 of User root");
    machine.examine().assert("leftovers.scopes", "ok", "none");
    scope(&machine, "cri-containerd-rtos.scope", "RTOS container of micrun");
    let findings = machine.examine();
    findings.assert("leftovers.scopes", "warning", "cri-containerd-rtos.scope is of no container");
    let remedy = &findings.lines["leftovers.scopes"]["remedy"];
    assert_eq!(remedy, "`systemctl stop cri-containerd-rtos.scope`, which ends what runs there");
    // The end of another one's name is not enough.
    fs::create_dir_all(machine.path("run/micrun/containers/os")).unwrap();
    machine.examine().assert("leftovers.scopes", "warning", "cri-containerd-rtos.scope is of no container");
    fs::create_dir_all(machine.path("run/micrun/containers/rtos")).unwrap();
    machine.examine().assert("leftovers.scopes", "ok", "none");
}
