//! What runs firmware and Linux containers: QEMU, the OCI runtime, and the shim's configuration.

use crate::machine::{CONTAINERD, Machine};

#[test]
fn without_any_emulator_no_firmware_runs() {
    let machine = Machine::new();
    machine.remove("usr/bin");
    machine.examine().assert("qemu.programs", "error", "no emulator in /usr/bin: no firmware runs");
    machine.write("etc/mica/micad.conf", "[Policy]\nAllowedPedestals = baremetal\n");
    machine.examine().assert("qemu.programs", "ok", "AllowedPedestals");
}

#[test]
fn one_emulator_is_missing() {
    let machine = Machine::new();
    machine.remove("usr/bin/qemu-system-riscv32");
    machine.examine().assert("qemu.programs", "note", "without qemu-system-riscv32: no firmware for");
}

#[test]
fn an_old_emulator_has_no_way_to_end() {
    let machine = Machine::new();
    machine.emulator("qemu-system-riscv32", "5.2.0", &["virt", "sifive_e"]);
    machine.examine().assert("qemu.programs", "error", "5.2.0 has no `-action`");
    machine.emulator("qemu-system-riscv32", "7.2.9", &["virt", "sifive_e"]);
    machine.examine().assert("qemu.programs", "note", "qemu-system-riscv32 7.2.9 is older");
}

#[test]
fn machines_that_an_emulator_lacks_count_if_they_are_allowed() {
    let machine = Machine::new();
    machine.emulator("qemu-system-riscv32", "10.0.2", &["virt"]);
    machine.examine().assert("qemu.machines", "note", "qemu-system-riscv32 has no sifive_e");
    machine.write("etc/mica/micad.conf", "[Policy]\nAllowedMachines = virt\n");
    machine.examine().assert("qemu.machines", "ok", "that are allowed");
}

/// A library may be missing.
#[test]
fn an_emulator_that_fails_says_why() {
    let machine = Machine::new();
    machine.script(
        "../usr/bin/qemu-system-arm",
        "echo 'libfdt.so.1: cannot open shared object file' >&2; exit 127",
    );
    let findings = machine.examine();
    findings.assert("qemu.programs", "warning", "libfdt.so.1: cannot open shared object file");
    findings.assert("qemu.machines", "warning", "libfdt.so.1");
}

/// And what it has started does not, either.
#[test]
fn an_emulator_that_hangs_does_not_hang_the_doctor() {
    let machine = Machine::new();
    machine.script("../usr/bin/qemu-system-arm", "[ \"$1\" = -machine ] || /bin/sleep 1000");
    machine.examine().assert("qemu.programs", "warning", "did not answer within");
}

#[test]
fn without_an_oci_runtime_there_are_no_linux_containers() {
    let machine = Machine::new();
    machine.remove("bin/crun");
    machine.examine().assert("shim.linux", "warning", "no crun nor runc on PATH");
    machine.script("runc", "echo runc version 1.1.5");
    machine.examine().assert("shim.linux", "ok", "runc version 1.1.5");
}

/// containers/crun#1620: "unknown version specified".
#[test]
fn a_crun_that_is_older_than_containerds_specification() {
    let machine = Machine::new();
    machine.script("crun", "echo crun version 1.8.1; echo +SYSTEMD +SECCOMP");
    machine.examine().assert("shim.linux", "warning", "crun 1.8.1");
    machine.script("containerd", "echo containerd github.com/containerd/containerd 1.6.20~ds1");
    machine.examine().assert("shim.linux", "ok", "crun version 1.8.1");
    machine.script("crun", "echo crun version 1.21; echo +CAP");
    machine.examine().assert("shim.linux", "note", "without SECCOMP");
}

#[test]
fn the_runtime_that_containerds_environment_names() {
    let machine = Machine::new();
    let path = machine.bin().display().to_string();
    let environment = [("PATH", path.as_str()), ("MICRUN_LINUX_RUNTIME", "youki")];
    machine.process(CONTAINERD, "containerd", &["containerd"], &environment);
    machine.examine().assert(
        "shim.linux",
        "warning",
        "no youki on PATH, as MICRUN_LINUX_RUNTIME of containerd wants",
    );
}

#[test]
fn micrun_conf_is_read_by_the_shims_own_reader() {
    let machine = Machine::new();
    machine.write("etc/mica/micrun/micrun.conf", "container_maxmem = 64\n");
    machine.examine().assert("shim.config", "ok", "1 keys are set");
    machine.write("etc/mica/micrun/conf.d/10-x.toml", "container_maxmen = 64\n");
    machine.examine().assert("shim.config", "warning", "container_maxmen");
    machine.write("etc/mica/micrun/conf.d/10-x.toml", "max_container_vcpu = \"all\"\n");
    machine.examine().assert("shim.config", "error", "10-x.toml");
    machine.remove("etc/mica/micrun/conf.d");
    machine.mode("etc/mica/micrun/micrun.conf", 0);
    machine.examine_as_nobody().assert("shim.config", "note", "Permission denied");
}

#[test]
fn micrun_conf_is_where_containerds_environment_says() {
    let machine = Machine::new();
    let path = machine.bin().display().to_string();
    machine.write("srv/micrun.conf", "container_maxmem = lots\n");
    let environment = [("PATH", path.as_str()), ("MICRUN_CONF_FILE", "/srv/micrun.conf")];
    machine.process(CONTAINERD, "containerd", &["containerd"], &environment);
    machine.examine().assert("shim.config", "error", "srv/micrun.conf");
}
