//! ELF files: what is read, what is refused, and that nothing panics.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Cursor;

use micrun_firmware::elf::{
    Class, Endian, Fault, Kind, Machine, Moved, Place, Requirements, Segment, Window, check,
};
use micrun_firmware::{ElfInfo, Error, Pedestal};
use proptest::prelude::*;
use support::{AARCH64, ARM, Elf, Load, RISCV, X86_64, note};

fn info(elf: &Elf) -> ElfInfo {
    ElfInfo::parse(&elf.bytes()).unwrap()
}

/// The fault of a file that is read or checked in vain.
fn fault_with(bytes: &[u8], requirements: &Requirements) -> Fault {
    match ElfInfo::parse(bytes).and_then(|info| check(&info, requirements)) {
        Err(Error::Elf { fault, .. }) => *fault,
        other => panic!("expected a fault, got {other:?}"),
    }
}

fn fault(elf: &Elf) -> Fault {
    fault_with(&elf.bytes(), &Requirements::default())
}

/// What QEMU's `virt` asks of 64-bit Arm, with so much memory.
fn virt(megabytes: u64) -> Requirements {
    let ram = Window { base: 0x4000_0000, size: megabytes << 20 };
    Requirements::default().with_windows("the machine virt", vec![ram])
}

fn changed(change: impl Fn(&mut Elf)) -> Elf {
    let mut elf = Elf::default();
    change(&mut elf);
    elf
}

#[test]
fn reads_every_field() {
    let bytes = Elf::default().with_resource_table().with_exit_record(0x4009_0100).bytes();
    let info = ElfInfo::parse(&bytes).unwrap();
    assert_eq!((info.class, info.endian), (Class::Elf64, Endian::Little));
    assert_eq!((info.machine, info.kind, info.entry), (Machine::Aarch64, Kind::Executable, 0x4008_0010));
    assert_eq!(info.exit_record, Some(0x4009_0100));
    assert!(info.has_resource_table && !info.has_interpreter);
    assert_eq!(info.file_size, bytes.len() as u64);
    let offset = info.segments[1].offset;
    let (paddr, vaddr) = (0x4009_0000, 0x4009_0000);
    assert_eq!(info.segments[1], Segment { offset, paddr, vaddr, filesz: 64, memsz: 4096, flags: 6 });
    assert_eq!(bytes[usize::try_from(offset).unwrap()..][..64], [0xbb; 64]);
    check(&info, &virt(1)).unwrap();
}

#[test]
fn reads_32_bits_and_thumb_entries() {
    let elf = changed(|elf| {
        (elf.bits, elf.machine, elf.entry) = (32, ARM, 0x4008_0011);
    });
    let info = info(&elf);
    assert_eq!((info.class, info.machine, info.architecture()), (Class::Elf32, Machine::Arm, "arm"));
    check(&info, &Requirements::default()).unwrap();
    // The same odd address is no place for an instruction of the last byte's segment elsewhere.
    let elf = changed(|elf| (elf.bits, elf.machine, elf.entry) = (32, ARM, 0x4008_0101));
    assert_eq!(fault(&elf), Fault::EntryOutside { entry: 0x4008_0101 });
}

#[test]
fn accepts_both_riscv() {
    for (bits, name) in [(32, "riscv32"), (64, "riscv64")] {
        let info = info(&changed(|elf| (elf.bits, elf.machine) = (bits, RISCV)));
        assert_eq!(info.architecture(), name);
        check(&info, &Requirements::default()).unwrap();
    }
}

#[test]
fn refuses_what_is_no_elf() {
    for bytes in [&b""[..], b"\x7fEL", b"MZ\x90\0", b"#!/bin/sh\n"] {
        assert!(matches!(fault_with(bytes, &Requirements::default()), Fault::NotElf { .. }), "{bytes:?}");
    }
    let header = &Elf::default().bytes()[..40];
    assert!(matches!(fault_with(header, &Requirements::default()), Fault::Damaged { .. }));
}

#[test]
fn refuses_other_targets() {
    assert_eq!(
        fault(&changed(|e| e.machine = X86_64)),
        Fault::UnknownMachine { machine: Machine::Other(X86_64) }
    );
    let wrong_class = |class, machine, wanted| Fault::WrongClass { class, machine, wanted };
    assert_eq!(
        fault(&changed(|e| (e.bits, e.machine) = (32, AARCH64))),
        wrong_class(Class::Elf32, Machine::Aarch64, Class::Elf64)
    );
    assert_eq!(fault(&changed(|e| e.machine = ARM)), wrong_class(Class::Elf64, Machine::Arm, Class::Elf32));
    assert_eq!(fault(&changed(|e| e.big_endian = true)), Fault::WrongEndian { endian: Endian::Big });
    let only_riscv = Requirements { machine: Some(Machine::Riscv), ..Requirements::default() };
    assert_eq!(
        fault_with(&Elf::default().bytes(), &only_riscv),
        Fault::WrongMachine { machine: Machine::Aarch64, wanted: Machine::Riscv }
    );
}

#[test]
fn refuses_what_is_not_linked_to_fixed_addresses() {
    for (kind, name) in [(1, Kind::Relocatable), (3, Kind::Dynamic), (4, Kind::Other(4))] {
        assert!(
            matches!(fault(&changed(|e| e.kind = kind)), Fault::NotExecutable { kind, .. } if kind == name)
        );
    }
    assert_eq!(fault(&changed(|e| (e.kind, e.interpreter) = (3, true))), Fault::LinuxProgram);
}

#[test]
fn refuses_a_program_of_this_machine() {
    let this = std::env::current_exe().unwrap();
    let info = ElfInfo::read(&this).unwrap();
    assert!(info.has_interpreter && !info.segments.is_empty());
    assert!(check(&info, &Requirements::default()).is_err());
}

#[test]
fn refuses_entries_outside_code() {
    for entry in [0, 0x4007_ffff, 0x4008_0100, 0x4009_0000, u64::MAX] {
        assert_eq!(fault(&changed(|e| e.entry = entry)), Fault::EntryOutside { entry });
    }
    // In .bss nothing has been loaded.
    let elf = changed(|e| (e.loads[1].flags, e.entry) = (7, 0x4009_0040));
    assert_eq!(fault(&elf), Fault::EntryOutside { entry: 0x4009_0040 });
}

/// Xilinx's U-Boot is a binary that objcopy has wrapped: one segment, not marked executable.
#[test]
fn an_elf_without_any_executable_segment_has_no_flags_that_count() {
    let elf = changed(|e| e.loads.iter_mut().for_each(|load| load.flags &= !1));
    check(&info(&elf), &Requirements::default()).unwrap();
}

/// As every linker script of a microcontroller's IDE does it: the initial values of variables are in flash, and what has
/// none goes on counting load addresses.
#[test]
fn what_is_zeroed_at_its_own_address_overlaps_nothing_in_flash() {
    let elf = changed(|e| {
        let behind = 0x4008_1000 + e.loads[1].bytes.len() as u64;
        e.loads[1].paddr = 0x4008_1000;
        e.loads.push(Load { paddr: behind, vaddr: 0x5000_0000, bytes: Vec::new(), memsz: 0x400, flags: 6 });
    });
    check(&info(&elf), &Requirements::default()).unwrap();
}

#[test]
fn refuses_absurd_segments() {
    assert_eq!(
        fault(&changed(|e| e.loads[1].memsz = 63)),
        Fault::SegmentLargerInFile { index: 1, filesz: 64, memsz: 63 }
    );
    assert_eq!(fault(&changed(|e| e.loads.clear())), Fault::NothingToLoad);
    assert_eq!(
        fault(&changed(|e| (e.loads[1].paddr, e.loads[1].vaddr) = (u64::MAX - 10, 0))),
        Fault::SegmentWraps { index: 1, start: u64::MAX - 10, memsz: 4096 }
    );
    let elf = changed(|e| {
        (e.bits, e.machine) = (32, ARM);
        e.loads[1].vaddr = 0xffff_ff00;
    });
    assert_eq!(fault(&elf), Fault::SegmentWraps { index: 1, start: 0xffff_ff00, memsz: 4096 });
    let elf = changed(|e| e.loads[1].paddr = 0x4008_00ff);
    assert_eq!(fault(&elf), Fault::SegmentsOverlap { first: 0, second: 1, at: 0x4008_00ff });
    let adjacent = changed(|e| e.loads[1].paddr = 0x4008_0100);
    check(&info(&adjacent), &Requirements::default()).unwrap();
}

#[test]
fn refuses_a_file_that_was_cut_off() {
    let elf = Elf::default();
    let bytes = elf.bytes();
    let end = info(&elf).segments[1].offset + 64;
    let cut = usize::try_from(end).unwrap() - 1;
    assert_eq!(
        fault_with(&bytes[..cut], &Requirements::default()),
        Fault::SegmentOutsideFile { index: 1, end, size: end - 1 }
    );
}

#[test]
fn refuses_segments_that_would_take_hours_to_digest() {
    let load =
        |n: u64| Load { paddr: n << 24, vaddr: n << 24, bytes: vec![0; 1 << 20], memsz: 1 << 20, flags: 5 };
    let mut bytes = changed(|e| {
        e.entry = 0;
        e.loads = (0..2).map(load).collect();
    })
    .bytes();
    // 256 program headers, the last 254 of them copies of the first at other addresses.
    let first = bytes[64..120].to_vec();
    let table = bytes.len() as u64;
    bytes[32..40].copy_from_slice(&table.to_le_bytes());
    bytes[56..58].copy_from_slice(&256u16.to_le_bytes());
    // The segment keeps its place in the file and moves in memory.
    for n in 0..256u64 {
        let mut program = first.clone();
        program[16..24].copy_from_slice(&(n << 24).to_le_bytes());
        program[24..32].copy_from_slice(&(n << 24).to_le_bytes());
        let big = 2u64 << 20;
        program[32..40].copy_from_slice(&(big - 4096).to_le_bytes());
        program[40..48].copy_from_slice(&big.to_le_bytes());
        bytes.extend(program);
    }
    assert!(matches!(fault_with(&bytes, &Requirements::default()), Fault::TooLarge { .. }));
}

#[test]
fn bounds_every_count() {
    let mut bytes = Elf::default().with_resource_table().bytes();
    bytes[56..58].copy_from_slice(&300u16.to_le_bytes());
    let what = |what, count, limit| Fault::TooMany { what, count, limit };
    assert_eq!(fault_with(&bytes, &Requirements::default()), what("program headers", 300, 256));
    let mut bytes = Elf::default().with_resource_table().bytes();
    bytes[60..62].copy_from_slice(&5000u16.to_le_bytes());
    assert_eq!(fault_with(&bytes, &Requirements::default()), what("sections", 5000, 4096));
    let elf = changed(|e| e.note = Some(vec![0; 70_000]));
    assert_eq!(fault(&elf), what("bytes of notes", 70_000, 65_536));
}

#[test]
fn compares_with_memory() {
    let bytes = Elf::default().bytes();
    check(&ElfInfo::parse(&bytes).unwrap(), &virt(1)).unwrap();
    let low = changed(|e| (e.loads[1].paddr, e.loads[1].vaddr) = (0x3fff_f000, 0x3fff_f000)).bytes();
    check(&ElfInfo::parse(&low).unwrap(), &Requirements::default().with_memory(64)).unwrap();
    assert_eq!(
        fault_with(&low, &virt(64)),
        Fault::SegmentOutsideMemory {
            index: 1,
            start: 0x3fff_f000,
            end: 0x4000_0000,
            of: "the machine virt".into(),
            windows: "0x40000000..0x44000000".into(),
        }
    );
    let high = changed(|e| e.loads[1].paddr = 0x403f_f001).bytes();
    assert!(matches!(fault_with(&high, &virt(4)), Fault::SegmentOutsideMemory { index: 1, .. }));
    check(&ElfInfo::parse(&high).unwrap(), &virt(5)).unwrap();
    let large = changed(|e| e.loads[1].memsz = 9 << 20).bytes();
    assert_eq!(
        fault_with(&large, &Requirements::default().with_memory(9)),
        Fault::MemoryTooSmall { needed: (9 << 20) + 256, size: 9 << 20, megabytes: 10 }
    );
}

#[test]
fn wants_a_resource_table_where_a_loader_uses_it() {
    let without = Elf::default().bytes();
    for pedestal in Pedestal::ALL {
        let missing = pedestal == Pedestal::Hetero;
        let result = check(&ElfInfo::parse(&without).unwrap(), &Requirements::of(pedestal));
        assert_eq!(result.is_err(), missing, "{pedestal}");
    }
    assert_eq!(fault_with(&without, &Requirements::of(Pedestal::Hetero)), Fault::NoResourceTable);
    // An empty one, or one of another name, is none.
    for (name, bytes) in [(".resource_table", vec![]), (".resource_tables", vec![1; 64])] {
        let elf = changed(|e| e.sections = vec![(name, bytes.clone())]);
        assert!(!info(&elf).has_resource_table, "{name}");
    }
}

#[test]
fn finds_the_exit_record_among_other_notes() {
    let mine = note(b"micrun\0", 1, &0x1234_5678u64.to_le_bytes());
    for (bytes, expected) in [
        ([note(b"GNU\0", 3, &[1; 20]), mine.clone()].concat(), Some(0x1234_5678)),
        (note(b"micrun\0", 2, &[0; 8]), None),
        (note(b"micro\0", 1, &[0; 8]), None),
        ([vec![0xff; 12], mine.clone()].concat(), None),
    ] {
        assert_eq!(info(&changed(|e| e.note = Some(bytes.clone()))).exit_record, expected);
    }
    let short = changed(|e| e.note = Some(note(b"micrun\0", 1, &[0; 4])));
    assert_eq!(fault(&short), Fault::BadExitNote { size: 4 });
}

#[test]
fn every_message_says_what_to_do() {
    let path = |error: Error| error.in_file("/firmware.elf").to_string();
    let message = path(ElfInfo::parse(&[]).unwrap_err());
    assert!(
        message.starts_with("/firmware.elf: this is not an ELF file (it begins with nothing"),
        "{message}"
    );
    let message = path(check(&info(&changed(|e| e.machine = X86_64)), &Requirements::default()).unwrap_err());
    assert_eq!(
        message,
        "/firmware.elf: the ELF is for the machine x86-64, which no pedestal supports; \
         build it for aarch64, arm or riscv"
    );
}

/// The demo firmware, when `make firmware` has built it; its addresses are asked of binutils.
#[test]
fn agrees_with_readelf_about_the_demo() {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../build/firmware");
    let directory = std::env::var("MICRUN_TEST_FIRMWARE_DIR").unwrap_or_else(|_| default.into());
    let path = std::path::Path::new(&directory).join("freertos-demo.elf");
    let readelf = std::process::Command::new("readelf").args(["-hlW"]).arg(&path).output();
    let (true, Ok(readelf)) = (path.exists(), readelf) else {
        eprintln!("SKIPPED: {} or readelf is missing; run `make firmware`", path.display());
        return;
    };
    let info = ElfInfo::read(&path).unwrap();
    check(&info, &virt(64)).unwrap();
    let text = String::from_utf8(readelf.stdout).unwrap();
    let entry = text.lines().find_map(|l| l.trim().strip_prefix("Entry point address:")).unwrap().trim();
    assert_eq!(entry, format!("{:#x}", info.entry));
    let loads: Vec<Vec<u64>> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("LOAD "))
        .map(|line| line.split_whitespace().take(5).map(hex).collect())
        .collect();
    let ours: Vec<Vec<u64>> =
        info.segments.iter().map(|s| vec![s.offset, s.vaddr, s.paddr, s.filesz, s.memsz]).collect();
    assert_eq!(ours, loads);
    let record = info.exit_record.expect("the demo has an exit record");
    assert!(info.segments.iter().any(|s| (s.paddr..s.paddr + s.memsz).contains(&record)));
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

const FUNC: u8 = 2;
const OBJECT: u8 = 1;

fn place(elf: &Elf, address: u64) -> String {
    Place::find(Cursor::new(elf.bytes()), address).unwrap().to_string()
}

#[test]
fn an_address_is_named_by_the_last_function_before_it() {
    let elf = changed(|elf| {
        elf.symbols = vec![
            ("idle", 0x4008_0040, FUNC),
            ("_start", 0x4008_0010, 0),
            ("$x", 0x4008_0044, 0),
            ("table", 0x4008_0048, OBJECT),
            ("later", 0x4008_0080, FUNC),
        ];
    });
    assert_eq!(place(&elf, 0x4008_0040), "in idle");
    assert_eq!(place(&elf, 0x4008_004c), "in idle+0xc");
    assert_eq!(place(&elf, 0x4008_0010), "in _start");
    assert_eq!(place(&elf, 0x4008_0000), "in the firmware, whose ELF names no function there");
    assert_eq!(place(&elf, 0x200), "outside of the firmware's segments");
    assert_eq!(place(&Elf::default(), 0x4008_0010), "in the firmware, whose ELF names no function there");
    let thumb = changed(|elf| {
        (elf.bits, elf.machine) = (32, ARM);
        elf.symbols = vec![("main\u{1b}", 0x4008_0011, FUNC)];
    });
    assert_eq!(place(&thumb, 0x4008_0010), "in main\\u{1b}");
}

#[test]
fn a_function_that_has_moved_is_found_by_its_name() {
    let with = |symbols: &[(&'static str, u64, u8)]| changed(|elf| elf.symbols = symbols.to_vec()).bytes();
    let moved = |base: &[u8], result: &[u8]| Moved::find(Cursor::new(base), Cursor::new(result)).unwrap();
    let base =
        with(&[("idle", 0x4008_0040, FUNC), ("run", 0x4008_0010, FUNC), ("table", 0x4008_0048, OBJECT)]);
    // Data may move, and functions may come and go.
    let same =
        with(&[("run", 0x4008_0010, FUNC), ("new", 0x4008_0080, FUNC), ("table", 0x4008_0060, OBJECT)]);
    assert_eq!(moved(&base, &same), None);
    let later = with(&[("run", 0x4008_0010, FUNC), ("idle", 0x4008_0050, FUNC)]);
    let expected = Moved { name: "idle".into(), from: 0x4008_0040, to: 0x4008_0050 };
    assert_eq!(moved(&base, &later), Some(expected));
    assert_eq!(moved(&base, &Elf::default().bytes()), None, "a stripped file tells nothing");
    // Two static functions of one name, in either order.
    let two = with(&[("f", 0x4008_0010, FUNC), ("f", 0x4008_0020, FUNC)]);
    let turned = with(&[("f", 0x4008_0020, FUNC), ("f", 0x4008_0010, FUNC)]);
    assert_eq!(moved(&two, &turned), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn a_damaged_symbol_table_never_panics(at in 0usize..1200, byte in any::<u8>()) {
        let mut bytes = changed(|elf| elf.symbols = vec![("main", 0x4008_0010, FUNC)]).bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = Place::find(Cursor::new(bytes), 0x4008_0020);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = ElfInfo::parse(&bytes);
        let _ = ElfInfo::parse(&[b"\x7fELF\x02\x01\x01".as_slice(), &bytes].concat());
        let _ = ElfInfo::parse(&[b"\x7fELF\x01\x01\x01".as_slice(), &bytes].concat());
    }

    /// A valid file with bytes changed, mostly in its headers, and its end cut off: it is read or refused,
    /// and what passes the check has the properties that the loaders rely on.
    #[test]
    fn mutations_are_refused_or_sound(
        wide in any::<bool>(),
        changes in prop::collection::vec((0usize..1000, prop_oneof![Just(0u8), Just(0xff), any::<u8>()]), 0..6),
        cut in prop_oneof![9 => Just(0usize), 1 => 0usize..900],
    ) {
        let mut elf = Elf::default().with_resource_table().with_exit_record(0x4009_0000);
        if !wide {
            (elf.bits, elf.machine) = (32, ARM);
        }
        let mut bytes = elf.bytes();
        for (at, byte) in changes {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut));
        if let Ok(info) = ElfInfo::parse(&bytes) && check(&info, &Requirements::default()).is_ok() {
            sound(&info, &bytes);
        }
    }
}

fn sound(info: &ElfInfo, bytes: &[u8]) {
    // Behind what the file fills, others may follow in flash if the variables are elsewhere.
    let range = |s: &Segment| {
        let size = if s.paddr == s.vaddr { s.memsz } else { s.filesz };
        u128::from(s.paddr)..u128::from(s.paddr) + u128::from(size)
    };
    for (n, segment) in info.segments.iter().enumerate() {
        assert!(u128::from(segment.offset) + u128::from(segment.filesz) <= bytes.len() as u128);
        assert!(segment.filesz <= segment.memsz);
        for other in &info.segments[n + 1..] {
            let (a, b) = (range(segment), range(other));
            assert!(a.is_empty() || b.is_empty() || a.end <= b.start || b.end <= a.start);
        }
    }
    let entry = if info.machine == Machine::Arm { info.entry & !1 } else { info.entry };
    let marked = info.segments.iter().any(|s| s.flags & 1 != 0);
    let code = |s: &&Segment| !marked || s.flags & 1 != 0;
    assert!(info.segments.iter().filter(code).any(|s| (s.vaddr..s.vaddr + s.filesz).contains(&entry)));
}
