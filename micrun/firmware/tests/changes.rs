//! Which bytes in memory tell two firmwares apart.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Cursor;

use micrun_firmware::changes::{ByteRange, Changes, GAP, Image, MAX_RANGES};
use micrun_firmware::record::Address;
use micrun_firmware::{Error, Sha256Digest};
use proptest::prelude::*;
use support::Elf;

fn between(base: &Elf, result: &Elf) -> Result<Changes, Error> {
    let image = |elf: &Elf| Image::elf(Cursor::new(elf.bytes())).unwrap();
    Changes::between(&mut image(base), &mut image(result))
}

fn raw(base: &[u8], result: &[u8]) -> Changes {
    let image = |bytes: &[u8]| Image::raw(Cursor::new(bytes.to_vec()), 0x1000).unwrap();
    Changes::between(&mut image(base), &mut image(result)).unwrap()
}

/// Memory after the ranges of `result` were written over what `base` loads, segment by segment.
fn apply(base: &Elf, result: &Elf, changes: &Changes) -> Vec<Vec<u8>> {
    let (file, mut memory) = (result.bytes(), base.clone());
    for range in &changes.ranges {
        let load = memory
            .loads
            .iter_mut()
            .find(|load| (load.paddr..load.paddr + load.bytes.len() as u64).contains(&range.paddr.0));
        let load = load.unwrap();
        let (at, from) = (usize(range.paddr.0 - load.paddr), usize(range.offset));
        let (place, bytes) = (at..at + usize(range.size), &file[from..from + usize(range.size)]);
        assert_eq!(Sha256Digest::of(&load.bytes[place.clone()]), range.sha256_before);
        assert_eq!(Sha256Digest::of(bytes), range.sha256_after);
        load.bytes[place].copy_from_slice(bytes);
    }
    memory.loads.into_iter().map(|load| load.bytes).collect()
}

fn usize(number: u64) -> usize {
    number.try_into().unwrap()
}

/// A firmware, and the same with some bytes changed: segment, place and new value of each.
fn pair() -> impl Strategy<Value = (Elf, Elf)> {
    let sizes = prop::collection::vec(1usize..3000, 1..4);
    let writes =
        prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..4), 0..60);
    (sizes, writes, any::<bool>()).prop_map(|(sizes, writes, padded)| {
        let mut base = Elf::default();
        let pattern = base.loads[0].clone();
        base.loads = (0u64..)
            .zip(&sizes)
            // The last is the lowest: program headers need not be sorted.
            .map(|(number, size)| support::Load {
                paddr: 0x4008_0000 - (number << 16),
                vaddr: 0x4008_0000 - (number << 16),
                bytes: vec![0; *size],
                memsz: 4096,
                ..pattern.clone()
            })
            .collect();
        base.entry = 0x4008_0000;
        let mut result = base.clone();
        if padded {
            // The same segments, elsewhere in the file.
            result.note = Some(support::note(b"other\0\0\0", 7, &[0; 40]));
        }
        for (segment, place, value) in writes {
            let bytes = &mut segment.get_mut(&mut result.loads[..]).bytes;
            *place.get_mut(&mut bytes[..]) = value;
        }
        (base, result)
    })
}

proptest! {
    #[test]
    fn the_ranges_written_over_the_base_are_the_result((base, result) in pair()) {
        let changes = between(&base, &result).unwrap();
        let expected: Vec<_> = result.loads.iter().map(|load| load.bytes.clone()).collect();
        prop_assert_eq!(apply(&base, &result, &changes), expected);
    }

    #[test]
    fn ranges_are_sorted_and_apart_and_begin_and_end_with_a_change((base, result) in pair()) {
        let changes = between(&base, &result).unwrap();
        for pair in changes.ranges.windows(2) {
            let end = pair[0].paddr.0 + pair[0].size;
            // Segments are further apart than that.
            prop_assert!(end + GAP <= pair[1].paddr.0);
        }
        for range in &changes.ranges {
            for at in [range.paddr.0, range.paddr.0 + range.size - 1] {
                let byte = |elf: &Elf| {
                    let load = elf.loads.iter().find(|it| (it.paddr..it.paddr + 4096).contains(&at)).unwrap();
                    load.bytes[usize(at - load.paddr)]
                };
                prop_assert_ne!(byte(&base), byte(&result));
            }
        }
    }
}

#[test]
fn a_changed_message_is_one_range() {
    let mut result = Elf::default();
    result.loads[1].bytes[8..20].copy_from_slice(b"hello, world");
    let changes = between(&Elf::default(), &result).unwrap();
    let expected = ByteRange {
        offset: 64 + 2 * 56 + 256 + 8,
        paddr: Address(0x4009_0008),
        sha256_after: Sha256Digest::of(b"hello, world"),
        sha256_before: Sha256Digest::of(&[0xbb; 12]),
        size: 12,
    };
    assert_eq!((changes.entry, changes.ranges.as_slice()), (None, &[expected][..]));
    assert_eq!(changes.size(), 12);
}

#[test]
fn the_same_firmware_has_no_changes() {
    assert_eq!(
        between(&Elf::default(), &Elf::default()).unwrap(),
        Changes { entry: None, ranges: Vec::new() }
    );
}

#[test]
fn a_gap_parts_two_changes_where_it_is_large_enough() {
    let base = vec![0; 400];
    for (distance, ranges) in [(GAP, 1), (GAP + 1, 2)] {
        let mut result = base.clone();
        result[100] = 1;
        result[100 + usize(distance)] = 1;
        assert_eq!(raw(&base, &result).ranges.len(), ranges, "{distance}");
    }
}

#[test]
fn there_are_never_more_ranges_than_a_reader_takes() {
    let base = vec![0; (MAX_RANGES + 1) * 128];
    let mut result = base.clone();
    result.iter_mut().step_by(128).for_each(|byte| *byte = 1);
    // Twice the gap joins them all: 127 equal bytes are between any two.
    assert_eq!(raw(&base, &result).ranges.len(), 1);
    result[0] = 0;
    assert_eq!(raw(&base, &result).ranges.len(), MAX_RANGES);
}

#[test]
fn another_entry_is_told() {
    let result = Elf { entry: 0x4008_0020, ..Elf::default() };
    let changes = between(&Elf::default(), &result).unwrap();
    assert_eq!((changes.entry, changes.ranges.len()), (Some((0x4008_0010, 0x4008_0020)), 0));
}

#[test]
fn other_segments_cannot_be_compared() {
    let change = |change: fn(&mut Elf)| {
        let mut result = Elf::default();
        change(&mut result);
        between(&Elf::default(), &result).unwrap_err().to_string()
    };
    for (error, expected) in [
        (change(|elf| elf.loads.truncate(1)), "one loads 2 segments, the other 1"),
        (
            change(|elf| elf.loads[1].paddr += 16),
            "the segment at 0x40090000 of one is at 0x40090010 in the other",
        ),
        (change(|elf| elf.loads[1].memsz += 1), "has 4096 bytes in memory of one and 4097 in the other"),
        (change(|elf| elf.loads[1].bytes.push(0)), "has 64 bytes in the file of one and 65 in the other"),
    ] {
        assert!(error.starts_with("the firmwares do not load the same segments: "), "{error}");
        assert!(error.contains(expected), "{error}");
    }
}
