//! What `pack` makes of the operating system, the machine and the board that a firmware was built for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use common::elf::{ARM, Elf, X86_64, elf32};
use common::{Bench, Ran};

/// A Cortex-M's firmware in flash at 0: a vector table, then these constants.
fn cortex_m(constants: &[u8]) -> Vec<u8> {
    let code = [&0x2000_3000u32.to_le_bytes()[..], &9u32.to_le_bytes(), &[0; 24], constants].concat();
    elf32(ARM, 0, 9, &code)
}

fn aarch64(constants: &[u8]) -> Vec<u8> {
    let mut elf = Elf::aarch64(64);
    elf.content.extend(constants);
    elf.to_bytes()
}

/// Packs it, and gives its notes and its client.conf.
fn packed(elf: &[u8], args: &[&str]) -> (String, String) {
    let bench = Bench::with_firmware(elf);
    let ran = bench.run(["pack", "fw.elf", "--compression", "none"].iter().chain(args));
    assert_eq!(ran.status, 0, "{args:?}: {}", ran.stderr);
    let archive = String::from_utf8_lossy(&bench.read("fw.tar")).into_owned();
    let conf = archive.split("[Mica]\n").nth(1).unwrap().split('\0').next().unwrap().replace(" = ", "=");
    (ran.stderr, conf)
}

fn refused(elf: &[u8], args: &[&str]) -> Ran {
    let bench = Bench::with_firmware(elf);
    let ran = bench.run(["pack", "fw.elf"].iter().chain(args));
    assert_ne!(ran.status, 0, "{args:?}");
    assert_eq!(bench.files(), ["fw.elf"], "{args:?}");
    ran
}

fn has(conf: &str, lines: &[&str]) {
    for line in lines {
        assert!(conf.lines().any(|it| it == *line), "{line} in\n{conf}");
    }
}

#[test]
fn the_operating_system_is_written_down_if_it_shows() {
    let zephyr = aarch64(b"*** Booting Zephyr OS build v4.0.0 ***");
    let (notes, conf) = packed(&zephyr, &[]);
    has(&conf, &["container.os=zephyr"]);
    assert!(!notes.contains("operating system"), "{notes}");
    let (notes, conf) = packed(&zephyr, &["--os", "freertos"]);
    has(&conf, &["container.os=freertos"]);
    assert!(notes.contains("said to be freertos, but the firmware looks like zephyr"), "{notes}");
    let (notes, conf) = packed(&aarch64(b""), &[]);
    assert!(!conf.contains("container.os"), "{conf}");
    assert!(notes.contains("not recognised") && notes.contains("--os"), "{notes}");
    let (notes, conf) = packed(&aarch64(b""), &["--os", "rtthread"]);
    has(&conf, &["container.os=rtthread"]);
    assert!(notes.contains("did you mean rt-thread?"), "{notes}");
    let (notes, _) = packed(&aarch64(b""), &["--os", "my-own.os_2"]);
    assert!(!notes.contains("my-own"), "any word will do: {notes}");
}

#[test]
fn the_machine_is_proposed() {
    let (notes, conf) = packed(&aarch64(b""), &[]);
    has(&conf, &["Machine=virt,gic-version=3", "CPU=cortex-a53", "Memory=64"]);
    assert!(!notes.contains("machine"), "nobody expects another one: {notes}");
    let (notes, conf) = packed(&aarch64(b"Booting Zephyr OS \0CONFIG_BOARD_QEMU_CORTEX_A53\0"), &[]);
    has(&conf, &["Machine=virt,secure=on,gic-version=3", "Memory=128"]);
    assert!(notes.contains("the firmware names qemu_cortex_a53"), "{notes}");
    let (notes, conf) = packed(&cortex_m(&0x4000_c000u32.to_le_bytes()), &[]);
    has(&conf, &["Machine=lm3s6965evb"]);
    assert!(!conf.contains("Memory") && !conf.contains("CPU"), "both are the board's: {conf}");
    assert!(notes.contains("looks like it") && notes.contains("mps2-an385"), "{notes}");
    let (notes, conf) = packed(&cortex_m(b""), &[]);
    has(&conf, &["Machine=mps2-an385"]);
    assert!(notes.contains("nothing in the firmware says so"), "{notes}");
}

/// A section without a place in the linker script lands anywhere; so does a stack at the end of memory.
#[test]
fn a_segment_far_from_all_others_is_named() {
    let far = |address| {
        let mut elf = Elf::aarch64(64).to_bytes();
        // The program header moves behind the contents, to make room for a second one.
        let table = elf.len() as u64;
        let mut second = elf[64..120].to_vec();
        for field in [16, 24] {
            second[field..field + 8].copy_from_slice(&u64::to_le_bytes(address));
        }
        second[32..40].copy_from_slice(&0u64.to_le_bytes());
        elf.extend_from_within(64..120);
        elf.extend(second);
        elf[32..40].copy_from_slice(&table.to_le_bytes());
        elf[56..58].copy_from_slice(&2u16.to_le_bytes());
        elf
    };
    let (notes, conf) = packed(&far(0x5000_0000), &[]);
    has(&conf, &["Memory=260"]);
    assert!(notes.contains("Memory is 260 because of 128 bytes at 0x50000000 alone"), "{notes}");
    let ran = refused(&far(0x5000_0000), &["--memory", "64"]);
    assert!(
        ran.stderr.contains("segment 1 alone is not in the memory of the machine virt"),
        "{}",
        ran.stderr
    );
    let ran = refused(&far(0xa000_0000), &[]);
    assert!(ran.stderr.contains("segment 1 alone") && ran.stderr.contains("--memory"), "{}", ran.stderr);
}

#[test]
fn the_machine_can_be_said() {
    let m = cortex_m(b"");
    has(&packed(&m, &["--machine", "netduino2"]).1, &["Machine=netduino2"]);
    has(&packed(&m, &["--board", "qemu_cortex_m3"]).1, &["Machine=lm3s6965evb"]);
    has(&packed(&m, &["--board", "mps2/an386"]).1, &["Machine=mps2-an386"]);
    let args = ["--machine", "virt", "--cpu", "cortex-a72", "--memory", "256", "--qemu", "Append=quiet"];
    let (_, conf) = packed(&aarch64(b""), &args);
    has(&conf, &["Machine=virt", "CPU=cortex-a72", "Memory=256", "Append=quiet"]);
    let (_, conf) =
        packed(&aarch64(b""), &["--qemu", "Machine=virt,its=off", "--qemu", "devices=virtio-rng-device"]);
    has(&conf, &["Machine=virt,its=off", "Devices=virtio-rng-device"]);
    let (notes, _) = packed(&m, &["--memory", "64"]);
    assert!(notes.contains("Memory = 64 has no effect"), "{notes}");
}

/// Of two serial ports, the console is the one that the firmware knows.
#[test]
fn the_console_is_the_port_of_the_firmware() {
    let pi = |ports: &[u32]| {
        let constants: Vec<u8> = ports.iter().flat_map(|port| port.to_le_bytes()).collect();
        elf32(ARM, 0x8000, 0x8000, &[&[0; 64], constants.as_slice()].concat())
    };
    let (notes, conf) = packed(&pi(&[0x3f21_5040]), &[]);
    has(&conf, &["Machine=raspi2b", "ConsolePort=2"]);
    assert!(notes.contains("second serial port (0x3f215040)"), "{notes}");
    let (_, conf) = packed(&pi(&[0x3f21_5040]), &["--qemu", "ConsolePort=1"]);
    has(&conf, &["Machine=raspi2b", "ConsolePort=1"]);
    let (_, conf) = packed(&pi(&[0x3f20_1000, 0x3f21_5040]), &[]);
    assert!(!conf.contains("ConsolePort"), "{conf}");
}

#[test]
fn what_cannot_be_the_machine_is_refused() {
    let m = cortex_m(b"");
    for (args, status, says) in [
        (&["--machine", "nosuchmachine"][..], 3, "QEMU has no machine \"nosuchmachine\""),
        (&["--machine", "mps2-an358"], 3, "mps2-an385"),
        (&["--machine", "mps2-an385", "--cpu", "cortex-m8"], 3, "cortex-m3"),
        (&["--machine", "virt"], 3, "but the machine virt has"),
        (&["--machine", "stm32vldiscovery,x=y"], 2, "allowed"),
        (&["--board", "nosuchboard"], 2, "docs/BOARDS.md"),
        (&["--qemu", "Machin=virt"], 3, "Machine"),
        (&["--qemu", "Bios=passwd"], 3, "neither default nor none"),
        (&["--qemu", "Devices=virtio-blk-device"], 3, "virtio-rng-device"),
        (&["--memory", "0"], 2, "0"),
        (&["--board", "stm32mp15", "--machine", "virt"], 2, "--machine"),
        (&["--pedestal", "baremetal", "--machine", "virt"], 2, "no meaning on the pedestal baremetal"),
    ] {
        let ran = refused(&m, args);
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
    let nowhere = elf32(ARM, 0x3100_0000, 0x3100_0000, &[0; 64]);
    let ran = refused(&nowhere, &["--machine", "mps2-an385"]);
    assert!(
        ran.stderr
            .contains("segment 0 at 0x31000000..0x31000040 is not in the memory of the machine mps2-an385")
    );
    let x86 = Elf { machine: X86_64, ..Elf::aarch64(64) }.to_bytes();
    assert!(refused(&x86, &[]).stderr.contains("x86-64, which no pedestal supports"));
    let avr = elf32(83, 0, 0, &[0; 64]);
    assert!(refused(&avr, &[]).stderr.contains("the machine AVR"));
    // The same from a file as from an option.
    let bench = Bench::with_firmware(&m);
    bench.write("my.conf", "[Mica]\nName = x\n[Qemu]\nMachine = nosuchmachine\n");
    let ran = bench.run(["pack", "fw.elf", "--client-conf", "my.conf"]);
    assert_eq!(ran.status, 3);
    assert!(ran.stderr.contains("nosuchmachine"), "{}", ran.stderr);
}

#[test]
fn a_board_beside_linux_is_checked() {
    let m4 = cortex_m(b"");
    let (notes, conf) = packed(&m4, &["--pedestal", "baremetal"]);
    assert!(notes.contains("fits these boards: ") && notes.contains("stm32mp15"), "{notes}");
    assert!(notes.contains("no resource table, so there will be no console"), "{notes}");
    assert!(!conf.contains("[Qemu]") && !conf.contains("Memory"), "{conf}");
    let needs = "set the annotation org.openeuler.micrun.ped.pedestal=baremetal";
    assert!(notes.contains("a host with the default policy refuses it") && notes.contains(needs), "{notes}");
    packed(&m4, &["--pedestal", "baremetal", "--board", "stm32mp15"]);
    for (board, says) in [
        ("am62-m4", ".resource_table"),
        ("imx93", "the board imx93"),
        ("zynqmp-r5", "zynqmp-r5"),
        ("stm32mp16", "known: "),
    ] {
        let ran = refused(&m4, &["--pedestal", "baremetal", "--board", board]);
        assert!(ran.stderr.contains(says), "{board}: {}", ran.stderr);
    }
}

#[test]
fn inspect_shows_the_processor_and_nothing_without_a_meaning() {
    let bench = Bench::with_firmware(&cortex_m(b""));
    bench.pack(&[]);
    let report = bench.inspect("fw.tar");
    assert_eq!(report["images"][0]["firmware"]["elf"]["processor"], "Cortex-M");
    bench.pack(&["--pedestal", "baremetal"]);
    let report = bench.inspect("fw.tar");
    let keys: Vec<_> =
        report["images"][0]["settings"].as_array().unwrap().iter().map(|it| &it["key"]).collect();
    assert!(
        keys.iter().all(|key| !key.as_str().unwrap().starts_with("Qemu.") && *key != "Mica.Memory"),
        "{keys:?}"
    );
}
