//! Cores beside Linux.

use std::fs;

use crate::machine::Machine;

const REMOTEPROC: &str = "sys/class/remoteproc/remoteproc0";

/// A machine with our driver and a core.
fn with_core() -> Machine {
    let machine = Machine::new();
    for (attribute, value) in
        [("name", "mica-cpu3"), ("state", "offline"), ("device/cpu", "3"), ("device/core_state", "off")]
    {
        machine.write(&format!("{REMOTEPROC}/{attribute}"), &format!("{value}\n"));
    }
    fs::create_dir_all(machine.path("sys/bus/rpmsg/drivers/rpmsg_tty")).unwrap();
    fs::create_dir_all(machine.path("sys/module/mica_rproc")).unwrap();
    fs::create_dir_all(machine.path("lib/firmware")).unwrap();
    machine.write("sys/devices/system/cpu/online", "0-2\n");
    machine
}

#[test]
fn a_core_that_is_free() {
    let machine = with_core();
    let findings = machine.examine();
    findings.assert("baremetal.remoteproc", "ok", "remoteproc0 (mica-cpu3): offline");
    findings.assert("baremetal.terminal", "ok", "loaded");
    findings.assert("baremetal.driver", "ok", "core off");
    findings.assert("baremetal.firmware", "ok", "/lib/firmware");
    findings.assert_only(&[]);
}

#[test]
fn no_core_is_an_error_only_if_one_is_wanted() {
    let machine = Machine::new();
    machine.examine().assert("baremetal.remoteproc", "ok", "there is none");
    machine.write("etc/mica/micad.conf", "[Micad]\nDefaultPedestal = baremetal\n");
    machine.examine().assert("baremetal.remoteproc", "error", "wants firmware to run on one");
}

#[test]
fn a_core_that_has_crashed() {
    let machine = with_core();
    machine.write(&format!("{REMOTEPROC}/state"), "crashed\n");
    machine.examine().assert("baremetal.remoteproc", "warning", "remoteproc0 (mica-cpu3) has crashed");
    machine.write(&format!("{REMOTEPROC}/state"), "detached\n");
    machine.examine().assert("baremetal.remoteproc", "note", "firmware of the boot loader");
    machine.write(&format!("{REMOTEPROC}/state"), "dreaming\n");
    machine.examine().assert("baremetal.remoteproc", "warning", "unknown state");
    machine.write(&format!("{REMOTEPROC}/state"), "offline\n");
    machine.mode(&format!("{REMOTEPROC}/state"), 0o444);
    machine.examine().assert("baremetal.remoteproc", "note", "reserved for the kernel");
}

#[test]
fn consoles_need_a_driver() {
    let machine = with_core();
    machine.remove("sys/bus/rpmsg/drivers/rpmsg_tty");
    machine.examine().assert("baremetal.terminal", "warning", "rpmsg_tty is not loaded");
}

#[test]
fn our_driver_without_a_core_or_with_one_of_linux() {
    let machine = with_core();
    machine.write("sys/devices/system/cpu/online", "0-3\n");
    machine.examine().assert("baremetal.driver", "warning", "Linux uses CPU 3 itself");
    machine.write("sys/devices/system/cpu/online", "0-2\n");
    machine.write(&format!("{REMOTEPROC}/device/core_state"), "on\n");
    machine.examine().assert("baremetal.driver", "warning", "its core is on");
    machine.remove(REMOTEPROC);
    machine.examine().assert("baremetal.driver", "warning", "has no core");
}

#[test]
fn firmware_needs_a_place_where_the_kernel_looks() {
    let machine = with_core();
    machine.remove("lib/firmware");
    machine.examine().assert("baremetal.firmware", "error", "/lib/firmware does not exist");
    fs::create_dir_all(machine.path("run/firmware")).unwrap();
    machine.write("sys/module/firmware_class/parameters/path", "/run/firmware\n");
    machine.examine().assert("baremetal.firmware", "ok", "/run/firmware");
    machine.write("etc/mica/micad.conf", "[Micad]\nFirmwareDir = /srv\n");
    machine.examine().assert(
        "baremetal.firmware",
        "error",
        "FirmwareDir is /srv, but the kernel searches /run/firmware",
    );
}
