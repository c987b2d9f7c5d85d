//! Limits of the daemons.

use crate::machine::{CONTAINERD, MICAD, Machine};

#[test]
fn a_daemon_with_few_files() {
    let machine = Machine::new();
    machine.limits(MICAD, "512", "8388608");
    machine.examine().assert("limits.files", "warning", "micad may open 512 files, enough for 64 clients");
    machine.limits(MICAD, "4096", "8388608");
    machine.examine().assert("limits.files", "note", "micad may open 4096 files");
    machine.limits(MICAD, "unlimited", "8388608");
    machine.examine().assert("limits.files", "ok", "any number");
    machine.remove(&format!("proc/{MICAD}/limits"));
    machine.examine().assert("limits.files", "warning", "cannot be read");
}

#[test]
fn a_cgroup_that_is_full_or_small() {
    let machine = Machine::new();
    machine.write("sys/fs/cgroup/system.slice/micad.service/pids.max", "max\n");
    machine.examine().assert("limits.processes", "ok", "enough");
    machine.write("sys/fs/cgroup/system.slice/pids.max", "100\n");
    machine.write("sys/fs/cgroup/system.slice/pids.current", "20\n");
    machine.examine().assert(
        "limits.processes",
        "warning",
        "/sys/fs/cgroup/system.slice may have 100 processes",
    );
    machine.write("sys/fs/cgroup/system.slice/pids.max", "10000\n");
    machine.write("sys/fs/cgroup/system.slice/pids.current", "9500\n");
    machine.examine().assert("limits.processes", "error", "9500 of 10000");
    // In version 1 the controller has a hierarchy of its own.
    machine.remove("sys/fs/cgroup/system.slice");
    machine.write(&format!("proc/{CONTAINERD}/cgroup"), "7:pids:/docker/1\n0::/docker/1\n");
    machine.write("sys/fs/cgroup/pids/docker/1/pids.max", "64\n");
    machine.examine().assert(
        "limits.processes",
        "warning",
        "containerd: /sys/fs/cgroup/pids/docker/1 may have 64",
    );
}

#[test]
fn a_kernel_with_few_processes() {
    let machine = Machine::new();
    machine.write("proc/sys/kernel/pid_max", "2048\n");
    machine.examine().assert("limits.processes", "warning", "kernel.pid_max is 2048");
}

#[test]
fn locked_memory_matters_to_old_kernels() {
    let machine = Machine::new();
    machine.limits(CONTAINERD, "8192", "65536");
    machine.examine().assert("limits.locked", "ok", "not needed by this kernel");
    machine.write("proc/sys/kernel/osrelease", "5.10.0-28-amd64\n");
    machine.examine().assert("limits.locked", "warning", "containerd may lock 64 KiB");
}
