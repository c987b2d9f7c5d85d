//! Kernel, cgroups, clock.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::machine::{Machine, RELEASE};

/// Takes options out of the kernel.
fn without(machine: &Machine, options: &[&str]) -> String {
    let file = format!("boot/config-{RELEASE}");
    let text = fs::read_to_string(machine.path(&file)).unwrap();
    let lines: Vec<_> = text
        .lines()
        .map(|line| match line.strip_suffix("=y").filter(|name| options.contains(name)) {
            Some(name) => format!("# {name} is not set\n"),
            None => format!("{line}\n"),
        })
        .collect();
    machine.write(&file, &lines.concat());
    lines.concat()
}

#[test]
fn an_old_kernel_is_an_error() {
    let machine = Machine::new();
    machine.write("proc/sys/kernel/osrelease", "4.19.0-27-arm64\n");
    let findings = machine.examine();
    findings.assert("kernel.version", "error", "Linux 4.19.0-27-arm64");
    // Its options are in another file, which is not there.
    findings.assert("kernel.options", "note", "/boot/config-4.19.0-27-arm64");
}

#[test]
fn without_proc_there_is_no_guess() {
    let machine = Machine::new();
    machine.remove("proc");
    machine.examine().assert("kernel.version", "warning", "/proc");
}

#[test]
fn each_group_of_options_has_a_level_of_its_own() {
    let machine = Machine::new();
    without(
        &machine,
        &["CONFIG_SECCOMP_FILTER", "CONFIG_MEMCG", "CONFIG_PSI", "CONFIG_VETH", "CONFIG_RPMSG_TTY"],
    );
    let findings = machine.examine();
    findings.assert("kernel.options", "error", "lacks CONFIG_SECCOMP_FILTER");
    findings.assert("kernel.limits", "warning", "lacks CONFIG_MEMCG, CONFIG_PSI");
    findings.assert("kernel.pods", "note", "lacks CONFIG_VETH");
    findings.assert("kernel.baremetal", "note", "lacks CONFIG_RPMSG_TTY");
}

#[test]
fn the_running_kernels_own_options_count_first() {
    let machine = Machine::new();
    let text = without(&machine, &["CONFIG_PID_NS"]);
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    fs::write(machine.path("proc/config.gz"), packed.finish().unwrap()).unwrap();
    machine.examine().assert("kernel.options", "error", "/proc/config.gz lacks CONFIG_PID_NS");
    machine.write("proc/config.gz", "no gzip");
    machine.examine().assert("kernel.options", "warning", "/proc/config.gz cannot be read");
}

#[test]
fn options_that_may_not_be_read_are_not_missing() {
    let machine = Machine::new();
    machine.mode(&format!("boot/config-{RELEASE}"), 0);
    machine.examine_as_nobody().assert("kernel.options", "note", "cannot be read: Permission denied");
}

#[test]
fn cgroups_have_four_layouts() {
    let machine = Machine::new();
    machine.examine().assert("cgroups.hierarchy", "ok", "version 2");
    machine.write("sys/fs/cgroup/cgroup.controllers", "cpu io pids\n");
    machine.examine().assert("cgroups.controllers", "warning", "missing: cpuset, memory");

    machine.remove("sys/fs/cgroup/cgroup.controllers");
    let absent = machine.examine();
    absent.assert("cgroups.hierarchy", "error", "none is mounted");
    absent.assert("cgroups.controllers", "note", "no cgroups");

    machine.write("sys/fs/cgroup/cpu/cgroup.procs", "");
    let table = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpuset\t1\t1\t1\ncpu\t2\t1\t1\nblkio\t3\t1\t1\n\
                 memory\t0\t1\t0\npids\t4\t1\t1\n";
    machine.write("proc/cgroups", table);
    let legacy = machine.examine();
    legacy.assert("cgroups.hierarchy", "note", "version 1");
    legacy.assert("cgroups.controllers", "warning", "missing: memory");

    machine.write("sys/fs/cgroup/unified/cgroup.procs", "");
    machine.examine().assert("cgroups.hierarchy", "warning", "crun refuses");
    machine.remove("bin/crun");
    machine.script("runc", "echo runc version 1.1.5");
    machine.examine().assert("cgroups.hierarchy", "note", "hybrid");
}

#[test]
fn a_clock_before_this_program_was_made_is_wrong() {
    let machine = Machine::new();
    let copy = machine.path("mica");
    fs::copy(env!("CARGO_BIN_EXE_mica"), &copy).unwrap();
    let examine = || {
        let mut command = Command::new(&copy);
        command.args(["doctor", "--json", "--root"]).arg(machine.root());
        command.env_clear().env("PATH", machine.bin());
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert!(!examine().contains("but this program is of"));
    let future = SystemTime::now() + Duration::from_secs(100_000);
    fs::File::options().append(true).open(&copy).unwrap().set_modified(future).unwrap();
    assert!(examine().contains("but this program is of"));
}

#[test]
fn nobody_keeps_the_clock_right() {
    let machine = Machine::new();
    machine.script("timedatectl", "echo no");
    machine.examine().assert("clock.synchronised", "note", "no, as timedatectl says");
    machine.script("timedatectl", "echo System has not been booted with systemd >&2; exit 1");
    machine.examine().assert("clock.synchronised", "ok", "not known");
    machine.remove("bin/timedatectl");
    machine.examine().assert("clock.synchronised", "ok", "not known");
}
