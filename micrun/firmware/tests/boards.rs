//! Processors, operating systems, machines and boards: what a firmware says of itself, and what is made of it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Cursor;

use micrun_firmware::board::{self, Core};
use micrun_firmware::client_conf::{Cpu, Machine};
use micrun_firmware::elf::{Family, Fault};
use micrun_firmware::qemu::{self, BOARDS, Bios, Found, PORTS, Proposal};
use micrun_firmware::{ElfInfo, Error, Evidence, Os};
use proptest::prelude::*;
use support::{ARM, Elf, Load, RISCV};

/// The contents of a section of build attributes (Arm ABI, "Addenda", 3.2).
fn attributes(vendor: &str, tags: &[u8]) -> Vec<u8> {
    let sized = |head: &[u8], rest: &[u8]| {
        let size = u32::try_from(head.len() + 4 + rest.len()).unwrap();
        [head, &size.to_le_bytes(), rest].concat()
    };
    let file = sized(&[1], tags);
    [b"A".as_slice(), &sized(&[], &[vendor.as_bytes(), b"\0", &file].concat())].concat()
}

/// Tags 5 (name), 6 (version), 7 (profile), among others.
fn aeabi(name: &str, version: u8, profile: u8) -> Vec<u8> {
    let mut tags = [b"\x05", name.as_bytes(), b"\0", &[6, version]].concat();
    if profile != 0 {
        tags.extend([7, profile]);
    }
    // Thumb, compatibility (a number and a text), alignment, conformance (a text).
    tags.extend(b"\x09\x02\x20\x01gnu\0\x18\x01\x43\x32.09\0");
    attributes("aeabi", &tags)
}

fn load(address: u64, bytes: &[u8], flags: u32) -> Load {
    Load { paddr: address, vaddr: address, bytes: bytes.to_vec(), memsz: bytes.len() as u64, flags }
}

/// 32-bit code for this machine at `address`, with these constants in it.
fn code(machine: u16, address: u64, constants: &[u8]) -> Elf {
    let loads = vec![load(address, &[&[0; 64], constants].concat(), 5)];
    Elf { bits: 32, machine, entry: address, loads, ..Elf::default() }
}

fn with_attributes(mut elf: Elf, name: &'static str, contents: Vec<u8>) -> Elf {
    elf.sections.push((name, contents));
    elf
}

/// A Cortex-M's firmware with a vector table, without attributes.
fn microcontroller(flash: u64, stack: u32, constants: &[u8]) -> Elf {
    let reset = u32::try_from(flash).unwrap() + 9;
    let bytes = [&stack.to_le_bytes()[..], &reset.to_le_bytes(), &[0; 56], constants].concat();
    let (entry, loads) = (reset.into(), vec![load(flash, &bytes, 5)]);
    Elf { bits: 32, machine: ARM, entry, loads, ..Elf::default() }
}

fn info(elf: &Elf) -> ElfInfo {
    ElfInfo::parse(&elf.bytes()).unwrap()
}

fn evidence(elf: &Elf) -> Evidence {
    Evidence::read(Cursor::new(elf.bytes()), &info(elf)).unwrap()
}

fn propose(elf: &Elf) -> Proposal {
    qemu::propose(&info(elf), &evidence(elf)).unwrap()
}

fn fault<T: std::fmt::Debug>(result: Result<T, Error>) -> Fault {
    match result {
        Err(Error::Elf { fault, .. }) => *fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

#[test]
fn the_attributes_of_arm_say_which_processor() {
    for (name, version, profile, family, shown) in [
        ("Cortex-M3", 10, b'M', Family::M, "cortex-m3"),
        ("7E-M", 13, b'M', Family::M, "Cortex-M (Armv7E-M)"),
        ("6S-M", 12, 0, Family::M, "Cortex-M (Armv6S-M)"),
        ("8-M.MAIN", 17, b'M', Family::M, "Cortex-M (Armv8-M)"),
        ("cortex-m55", 21, b'M', Family::M, "cortex-m55"),
        ("7-R", 10, b'R', Family::R, "Cortex-R (Armv7-R)"),
        ("Cortex-R52", 15, b'R', Family::R, "cortex-r52"),
        ("7-A", 10, b'A', Family::A32, "arm (Armv7-A)"),
        ("ARM926EJ-S", 5, 0, Family::A32, "arm (Armv5TEJ)"),
    ] {
        let elf = with_attributes(code(ARM, 0, &[]), ".ARM.attributes", aeabi(name, version, profile));
        let processor = info(&elf).processor.unwrap();
        assert_eq!((processor.family, processor.to_string()), (family, shown.to_owned()), "{name}");
    }
    // Attributes of others, and damaged ones, say nothing.
    for contents in [attributes("gnu", b"\x06\x0d"), b"A\x01".to_vec(), b"B".to_vec(), vec![0xff; 40]] {
        let elf = with_attributes(code(ARM, 0, &[]), ".ARM.attributes", contents.clone());
        let processor = info(&elf).processor.unwrap();
        assert_eq!((processor.family, processor.version), (Family::A32, None), "{contents:x?}");
    }
}

#[test]
fn the_attributes_of_riscv_say_which_extensions() {
    let arch = attributes("riscv", b"\x04\x10\x05rv32i2p1_m2p0_c2p0\0");
    let elf = with_attributes(code(RISCV, 0x8000_0000, &[]), ".riscv.attributes", arch);
    let processor = info(&elf).processor.unwrap();
    assert_eq!(processor.model.as_deref(), Some("rv32i2p1_m2p0_c2p0"));
    assert_eq!(processor.to_string(), "riscv32", "the extensions would fill the line");
}

#[test]
fn a_vector_table_says_that_it_is_a_microcontroller() {
    let elf = info(&microcontroller(0x0800_0000, 0x2002_0000, &[]));
    assert_eq!((elf.family(), elf.stack), (Some(Family::M), Some(0x2002_0000)));
    // An even handler, a stack in flash, a handler elsewhere, instructions.
    for (stack, reset) in [
        (0x2002_0000u32, 0x0800_0008u32),
        (0x0800_0000, 0x0800_0009),
        (0x2002_0000, 0x0900_0001),
        (0xe59f_f018, 1),
    ] {
        let mut elf = microcontroller(0x0800_0000, stack, &[]);
        elf.loads[0].bytes[4..8].copy_from_slice(&reset.to_le_bytes());
        assert_eq!(info(&elf).family(), Some(Family::A32), "{stack:#x} {reset:#x}");
    }
}

#[test]
fn every_operating_system_is_recognised() {
    for (text, os) in [
        (&b"*** Booting Zephyr OS build v3.7.0 ***\r\n"[..], Os::Zephyr),
        (b"Tmr Svc\0 FreeRTOS", Os::FreeRtos),
        (b"\0PRT_TaskCreate\0", Os::UniProton),
        (b"NuttShell (NSH) NuttX-12.0\n", Os::NuttX),
        (b"\\ | /\n- RT -     Thread Operating System\n RT-Thread", Os::RtThread),
        (b"Copyright (c) Microsoft * ThreadX Cortex-M4/GNU", Os::ThreadX),
        (b"main(): This is RIOT! (Version: 2024)", Os::Riot),
        (b"U-Boot 2024.01 (Jan 01 2024)", Os::UBoot),
    ] {
        assert_eq!(evidence(&code(ARM, 0x4000_0000, text)).os(), Some(os.clone()), "{os}");
        // Names of functions count as well, where the file has them.
        let named = with_attributes(code(ARM, 0x4000_0000, &[]), ".strtab", text.to_vec());
        assert_eq!(evidence(&named).os(), Some(os));
        let elsewhere = with_attributes(code(ARM, 0x4000_0000, &[]), ".comment", text.to_vec());
        assert_eq!(evidence(&elsewhere).os(), None, "what is not loaded says nothing");
    }
    for text in [&b""[..], b"zephyr", b"FreeRTOS", b"nothing of the kind"] {
        assert_eq!(evidence(&code(ARM, 0x4000_0000, text)).os(), None, "one word is not enough");
    }
}

/// The search reads pieces of 64 KiB, and what lies across their border is found, wherever.
#[test]
fn words_and_addresses_are_found_across_the_borders_of_pieces() {
    let with = |at: usize, word: &[u8]| {
        let mut bytes = vec![0; (64 << 10) + 128];
        bytes[at..at + word.len()].copy_from_slice(word);
        evidence(&code(ARM, 0x4000_0000, &bytes))
    };
    // The code before the constants has 64 bytes.
    for at in ((64 << 10) - 128)..((64 << 10) - 32) {
        assert_eq!(with(at, b"Booting Zephyr OS").os(), Some(Os::Zephyr), "{at}");
        assert!(with(at, b"qemu-cortex-a53").names("qemu_cortex_a53"), "{at}");
        assert!(!with(at, b"xqemu-cortex-a53").names("qemu_cortex_a53"), "{at}");
        assert!(!with(at, b"qemu-cortex-a53x").names("qemu_cortex_a53"), "{at}");
        let found = with(at, &0x0900_0000u32.to_le_bytes()).has_one_of(&[0x0900_0000]);
        assert_eq!(found, at % 4 == 0, "{at}: what is not aligned is no constant");
    }
}

#[test]
fn a_name_inside_of_another_word_is_none() {
    assert!(!evidence(&code(RISCV, 0x8000_0000, b"drv_virtio")).names("rv_virt"));
    assert!(evidence(&code(RISCV, 0x8000_0000, b"CONFIG_ARCH_BOARD_RV_VIRT\0")).names("rv-virt"));
}

#[test]
fn the_board_that_a_firmware_names_is_proposed() {
    let found = |constants: &[u8]| propose(&microcontroller(0, 0x2000_4000, constants));
    let proposal = found(b"\0CONFIG_BOARD_QEMU_CORTEX_M3\0");
    assert_eq!((proposal.machine.to_string(), proposal.found), ("lm3s6965evb".to_owned(), Found::ByName));
    assert_eq!(proposal.port.unwrap().name, "qemu_cortex_m3");
    assert_eq!(proposal.memory_mb, None, "its memory is soldered");
    assert_eq!(found(b"Hello World! mps2/an386\n").machine.name(), "mps2-an386");

    let a53 = |text: &str| {
        let mut elf = Elf::default();
        elf.loads[0].bytes = [&[0; 32], text.as_bytes()].concat();
        propose(&elf)
    };
    let secure = a53("Booting Zephyr OS \0CONFIG_BOARD_QEMU_CORTEX_A53\0");
    assert_eq!(secure.machine.to_string(), "virt,secure=on,gic-version=3");
    assert_eq!(secure.memory_mb, Some(128));
    let not = a53("Booting Zephyr OS \0CONFIG_BOARD_QEMU_CORTEX_A53\0CONFIG_ARMV8_A_NS\0");
    assert_eq!(not.machine.to_string(), "virt,gic-version=3");
    let zephyr = a53("Booting Zephyr OS");
    assert_eq!((zephyr.found, zephyr.machine), (Found::ByFit, secure.machine), "Zephyr's usual one");
    let unknown = a53("");
    assert_eq!(unknown.machine.to_string(), "virt,gic-version=3");
    assert_eq!((unknown.memory_mb, unknown.cpu.unwrap().as_str()), (Some(64), "cortex-a53"));
}

#[test]
fn the_board_whose_serial_port_a_firmware_knows_is_proposed() {
    let found = |constants: &[u8]| propose(&microcontroller(0, 0x2000_3000, constants));
    let lm3s = found(&0x4000_c000u32.to_le_bytes());
    assert_eq!((lm3s.machine.name(), lm3s.found), ("lm3s6965evb", Found::ByLooks));
    assert!(lm3s.others.contains(&"mps2-an385"), "{:?}", lm3s.others);
    let any = found(&[]);
    assert_eq!((any.machine.name(), any.found), ("mps2-an385", Found::ByFit));
    // Where it is linked leaves no choice.
    let stm32 = propose(&microcontroller(0x0800_0000, 0x2002_0000, &[]));
    assert_eq!(stm32.machine.name(), "netduinoplus2");
    let m0 =
        with_attributes(microcontroller(0, 0x2000_4000, &[]), ".ARM.attributes", aeabi("6S-M", 12, b'M'));
    assert!(qemu::board(&"microbit".parse().unwrap(), &info(&m0)).unwrap().fits(&info(&m0)));
    let m33 =
        with_attributes(microcontroller(0, 0x2000_4000, &[]), ".ARM.attributes", aeabi("8-M", 17, b'M'));
    assert_eq!(propose(&m33).machine.name(), "mps2-an505", "an older core does not run it");
}

#[test]
fn riscv_is_booted_by_opensbi_where_that_leaves_room() {
    for (bits, address, bios) in [
        (64, 0x8000_0000, Bios::None),
        (64, 0x8020_0000, Bios::Default),
        (32, 0x8020_0000, Bios::None),
        (32, 0x8040_0000, Bios::Default),
    ] {
        let elf = info(&Elf { bits, ..code(RISCV, address, &[]) });
        assert_eq!(Bios::of(&elf), Some(bios), "{bits} {address:#x}");
    }
    assert_eq!(Bios::of(&info(&Elf::default())), None);
    // In M-mode the machine begins at the start of its RAM, whatever the entry is.
    let late = info(&Elf { bits: 64, ..code(RISCV, 0x8010_0000, &[]) });
    let result = qemu::check(&late, &Machine::default(), 64, Some(&Bios::None));
    assert_eq!(fault(result), Fault::NothingAtReset { at: 0x8000_0000 });
}

/// Arm's `virt` has flash at 0, where other boards have RAM. Firmware is meant for it if it begins there, and if nothing
/// says otherwise.
#[test]
fn firmware_in_flash_begins_where_the_processor_does() {
    let proposal = propose(&code(ARM, 0, b"U-Boot 2023.01 \0board_name=qemu-arm\0"));
    assert_eq!((proposal.machine.name(), proposal.found), ("virt", Found::ByName));
    let unnamed = code(ARM, 0, &[]);
    assert_ne!(propose(&unnamed).machine.name(), "virt", "others have RAM there");
    let virt = |elf| qemu::check(&info(elf), &Machine::default(), 64, None);
    virt(&unnamed).unwrap();
    let late = fault(virt(&code(ARM, 0x8000, &[])));
    assert!(matches!(late, Fault::SegmentOutsideMemory { .. }), "{late}");
}

#[test]
fn what_fits_nowhere_is_told_with_what_was_tried() {
    let elf = microcontroller(0x3000_0000_u64 + 0x00ff_0000, 0x2000_4000, &[]);
    let message = qemu::propose(&info(&elf), &evidence(&elf)).unwrap_err().to_string();
    for part in ["segment 0 at 0x30ff0000", "mps2-an385: 0x0..0x800000", "--machine", "docs/BOARDS.md"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    // One segment that all others leave behind is named as such.
    let mut stray = Elf::default();
    stray.loads[1].paddr = 0x5000_0000;
    stray.loads[1].vaddr = 0x5000_0000;
    let result = qemu::check(&info(&stray), &Machine::default(), 64, None);
    assert!(matches!(fault(result), Fault::SegmentAstray { index: 1, size: 4096, .. }));
    // Variables of a Cortex-M need a place, too.
    let mut variables = microcontroller(0, 0x2000_4000, &[]);
    variables.loads.push(Load { vaddr: 0x9000_0000, ..load(0x1000, &[1; 8], 6) });
    let result = qemu::check(&info(&variables), &"lm3s6965evb".parse().unwrap(), 0, None);
    assert!(matches!(fault(result), Fault::SegmentAstray { index: 1, start: 0x9000_0000, .. }));
}

#[test]
fn a_machine_with_another_processor_is_refused() {
    let elf = info(&microcontroller(0, 0x2000_4000, &[]));
    let message = qemu::check(&elf, &Machine::default(), 64, None).unwrap_err().to_string();
    assert!(
        message.contains("the machine virt has cortex-a15") || message.contains("has cortex-a53"),
        "{message}"
    );
    assert!(message.contains("mps2-an385"), "{message}");
    assert_eq!(qemu::default_machine(&elf).name(), "mps2-an385");
    assert_eq!(qemu::default_machine(&info(&Elf::default())), Machine::default());
    // Nothing is known of this one, so nothing is refused.
    qemu::check(&elf, &"musca-a".parse().unwrap(), 0, None).unwrap();
}

#[test]
fn names_are_compared_with_qemus() {
    for name in ["virt", "virt-9.2", "mps2-an385", "musca-a", "xlnx-zcu102"] {
        qemu::check_machine(&name.parse().unwrap()).unwrap();
    }
    let message = qemu::check_machine(&"mps2-an358".parse().unwrap()).unwrap_err();
    assert!(message.contains("\"mps2-an358\"") && message.contains("mps2-an385"), "{message}");
    assert!(qemu::check_machine(&"virt-x".parse().unwrap()).is_err());
    assert!(qemu::check_cpu(&"cortex-a35".parse().unwrap()).is_ok());
    assert!(qemu::check_cpu(&"cortex-a54".parse().unwrap()).unwrap_err().contains("cortex-a53"));
}

#[test]
fn boards_have_the_names_that_rtoses_give_them() {
    let m = microcontroller(0, 0x2000_4000, &[]);
    let named = |name: &str| qemu::named(name, &info(&m), &evidence(&m)).map(|it| it.machine.to_string());
    assert_eq!(named("qemu_cortex_m3/ti_lm3s6965").as_deref(), Some("lm3s6965evb"));
    assert_eq!(named("mps2/an385").as_deref(), Some("mps2-an385"));
    assert_eq!(named("lm3s6965-ek").as_deref(), Some("lm3s6965evb"));
    assert_eq!(named("nucleo_f401re"), None);
    let a53 = Elf::default();
    let named = qemu::named("qemu-armv8a", &info(&a53), &evidence(&a53)).unwrap();
    assert_eq!(named.machine.to_string(), "virt,virtualization=on,gic-version=3");
}

/// What is written down without a type is what its reader takes.
#[test]
fn the_tables_are_sound() {
    for board in BOARDS {
        assert_eq!(board.machine().name(), board.machine);
        board.model.parse::<Cpu>().unwrap();
        let windows = board.windows(board.ram.map_or(0, |ram| ram.unsaid), None);
        assert!(!windows.is_empty() && windows.iter().all(|it| it.size > 0), "{}", board.machine);
    }
    for port in PORTS {
        let machine: Machine = port.machine.parse().unwrap();
        port.cpu.map(|cpu| cpu.parse::<Cpu>().unwrap());
        assert!(
            BOARDS.iter().any(|it| it.machine == machine.name() && it.family == port.family),
            "{}",
            port.name
        );
        assert!(port.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'));
        let os: Os = port.os.parse().unwrap();
        assert!(Os::KNOWN.contains(&os), "{}", port.os);
    }
    let mut names: Vec<_> = board::BOARDS.iter().map(|core| core.name.as_str()).collect();
    assert!(names.is_sorted(), "{names:?}");
    names.dedup();
    assert_eq!(names.len(), board::BOARDS.len());
}

#[test]
fn a_core_beside_linux_is_checked_before_deployment() {
    let m4 = |address| {
        with_attributes(
            microcontroller(address, 0x1004_0000, &[]),
            ".ARM.attributes",
            aeabi("7E-M", 13, b'M'),
        )
    };
    let retram = info(&m4(0));
    let fitting: Vec<_> = Core::fitting(&retram).map(|core| core.name.as_str()).collect();
    assert_eq!(fitting, ["imx8mm", "imx8mn", "imx8mp", "imx8mq", "stm32mp15"], "TI's want a resource table");
    let stm32 = Core::named("STM32MP15").unwrap();
    let message = stm32.check(&info(&m4(0x0800_0000))).unwrap_err().to_string();
    assert!(message.contains("the board stm32mp15 (0x0..0x10000, 0x10000000.."), "{message}");
    let message = stm32.check(&info(&Elf::default())).unwrap_err().to_string();
    assert!(message.contains("the board stm32mp15 has cortex-m4"), "{message}");
    let am62 = Core::named("am62-m4").unwrap();
    assert_eq!(fault(am62.check(&retram)), Fault::NoResourceTable);
    am62.check(&info(&m4(0).with_resource_table())).unwrap();
    assert!(Core::named("am63").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Attributes with bytes changed, cut or added are read or ignored.
    #[test]
    fn hostile_attributes_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in 0usize..40,
        more in prop::collection::vec(any::<u8>(), 0..40),
        arm in any::<bool>(),
    ) {
        let (machine, name, mut contents) = if arm {
            (ARM, ".ARM.attributes", aeabi("Cortex-M3", 10, b'M'))
        } else {
            (RISCV, ".riscv.attributes", attributes("riscv", b"\x04\x10\x05rv32i2p1_m2p0\0"))
        };
        for (at, byte) in changes {
            let at = at.index(contents.len());
            contents[at] = byte;
        }
        contents.truncate(contents.len().saturating_sub(cut));
        contents.extend(more);
        let elf = with_attributes(code(machine, 0x8000_0000, &[]), name, contents);
        prop_assert!(info(&elf).family().is_some());
    }

    /// Whatever a firmware holds: what is proposed fits it.
    #[test]
    fn what_is_proposed_fits(
        address in prop::sample::select(vec![0u64, 0x0800_0000, 0x1000_0000, 0x4000_0000, 0x6000_0000, 0x8000_0000]),
        constants in prop::collection::vec(any::<u8>(), 0..600),
        machine in prop::sample::select(vec![ARM, RISCV]),
        vectors in any::<bool>(),
    ) {
        let elf = if vectors {
            microcontroller(address, 0x2000_1000, &constants)
        } else {
            code(machine, address, &constants)
        };
        let info = info(&elf);
        if let Ok(proposal) = qemu::propose(&info, &evidence(&elf)) {
            prop_assert!(qemu::board(&proposal.machine, &info).is_some_and(|board| board.fits(&info)));
        }
    }
}

/// It would find another serial port and another clock, and hang without a word.
#[test]
fn zephyr_for_a_board_that_qemu_lacks_is_refused() {
    let constants = b"Booting Zephyr OS \0CONFIG_BOARD_REVISION\0CONFIG_BOARD_NRF52DK_NRF52810\0";
    let elf = microcontroller(0, 0x2000_4000, constants);
    let proposal = qemu::propose(&info(&elf), &evidence(&elf));
    assert_eq!(fault(proposal), Fault::OtherBoard { board: "nrf52dk_nrf52810".to_owned() });
}
