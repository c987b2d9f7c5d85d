//! What holds for every Intel HEX and UF2 file, tried with many.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;

use proptest::prelude::*;

use super::fault::{Fault, Result};
use super::memory::{Contents, Memory, Segment};
use super::{hex, uf2, vector_table};

type Spool = Cursor<Vec<u8>>;
type Bytes = BTreeMap<u64, u8>;

/// Bytes at addresses that do not overlap, in any order.
fn pieces(most: usize) -> impl Strategy<Value = Vec<(u32, Vec<u8>)>> {
    let piece = (0_u32..0x1_0000, prop::collection::vec(any::<u8>(), 1..=most));
    prop::collection::vec(piece, 1..20).prop_map(move |pieces| {
        // Places of 256 bytes each: none reaches into another.
        let places: BTreeMap<u32, Vec<u8>> = pieces
            .into_iter()
            .map(|(place, bytes)| (place << 8 | 0xfff0_0000 & place << 16, bytes))
            .collect();
        let mut list: Vec<_> = places.into_iter().collect();
        list.dedup_by(|next, one| next.0 < one.0 + 256);
        list.sort_by_key(|(address, _)| address.wrapping_mul(2_654_435_761));
        list
    })
}

fn expected(pieces: &[(u32, Vec<u8>)]) -> Bytes {
    let bytes = pieces.iter().flat_map(|(start, bytes)| (u64::from(*start)..).zip(bytes.iter().copied()));
    bytes.collect()
}

fn found(mut contents: Contents<Spool>) -> Bytes {
    let starts: Vec<_> = contents.segments.iter().map(Segment::address).collect();
    let mut found = Bytes::new();
    for (index, start) in starts.into_iter().enumerate() {
        let mut bytes = Vec::new();
        contents.read(index, |part| bytes.extend_from_slice(part)).unwrap();
        found.extend((start..).zip(bytes));
    }
    found
}

/// A record of Intel HEX.
fn record(kind: u8, offset: u16, data: &[u8]) -> String {
    let mut bytes = vec![u8::try_from(data.len()).unwrap()];
    bytes.extend(offset.to_be_bytes());
    bytes.push(kind);
    bytes.extend(data);
    bytes.push(bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
    bytes.iter().fold(":".to_owned(), |mut text, byte| {
        write!(text, "{byte:02X}").unwrap();
        text
    })
}

fn hex_of(pieces: &[(u32, Vec<u8>)]) -> String {
    let mut lines = Vec::new();
    for (address, bytes) in pieces {
        let [high, low] = [(address >> 16) as u16, (address & 0xffff) as u16];
        lines.extend([record(4, 0, &high.to_be_bytes()), record(0, low, bytes)]);
    }
    lines.push(record(5, 0, &0x1234_5679_u32.to_be_bytes()));
    lines.push(record(1, 0, &[]));
    lines.join("\r\n")
}

fn read_hex(text: &[u8]) -> Result<(Option<u64>, Bytes)> {
    let mut memory = Memory::new(Spool::default());
    let entry = hex::read(text, &mut memory)?;
    Ok((entry, found(memory.finish()?)))
}

fn uf2_of(pieces: &[(u32, Vec<u8>)], family: u32) -> Vec<u8> {
    let total = u32::try_from(pieces.len()).unwrap();
    let mut file = Vec::new();
    for (number, (address, bytes)) in (0_u32..).zip(pieces) {
        let length = u32::try_from(bytes.len()).unwrap();
        let header = [0x0a32_4655, 0x9e5d_5157, 0x2000, *address, length, number, total, family];
        let mut block: Vec<u8> = header.iter().flat_map(|word: &u32| word.to_le_bytes()).collect();
        block.extend(bytes);
        block.resize(508, 0);
        block.extend(0x0ab1_6f30_u32.to_le_bytes());
        file.extend(block);
    }
    file
}

fn read_uf2(bytes: &[u8]) -> Result<(Option<u32>, Bytes)> {
    let mut memory = Memory::new(Spool::default());
    let family = uf2::read(bytes, &mut memory)?;
    Ok((family, found(memory.finish()?)))
}

proptest! {
    #[test]
    fn hex_is_read_as_it_was_written_whatever_the_order(pieces in pieces(255)) {
        let (entry, bytes) = read_hex(hex_of(&pieces).as_bytes()).unwrap();
        prop_assert_eq!(entry, Some(0x1234_5679));
        prop_assert_eq!(bytes, expected(&pieces));
    }

    #[test]
    fn a_changed_digit_of_hex_is_noticed(pieces in pieces(32), at in any::<prop::sample::Index>(), digit in 0_u8..16) {
        let mut text = hex_of(&pieces).into_bytes();
        let at = at.index(text.len());
        let digit = b"0123456789ABCDEF"[usize::from(digit)];
        prop_assume!(text[at].is_ascii_hexdigit() && text[at] != digit);
        text[at] = digit;
        prop_assert!(matches!(read_hex(&text), Err(Fault::Refused(_))));
    }

    #[test]
    fn hex_that_is_cut_off_is_noticed(pieces in pieces(32), at in any::<prop::sample::Index>()) {
        let text = hex_of(&pieces);
        let cut = &text.as_bytes()[..at.index(text.len())];
        prop_assert!(matches!(read_hex(cut), Err(Fault::Refused(_))));
    }

    #[test]
    fn a_second_record_for_an_address_is_refused(pieces in pieces(32), which in any::<prop::sample::Index>()) {
        let mut twice = pieces.clone();
        let (address, bytes) = which.get(&pieces);
        twice.push((address + u32::try_from(bytes.len()).unwrap() - 1, vec![0]));
        prop_assert!(matches!(read_hex(hex_of(&twice).as_bytes()), Err(Fault::Refused(_))));
        prop_assert!(matches!(read_uf2(&uf2_of(&twice, 1)), Err(Fault::Refused(_))));
    }

    #[test]
    fn uf2_is_read_as_it_was_written_whatever_the_order(pieces in pieces(256), family in 1_u32..) {
        prop_assume!(family != super::uf2_family::RP2350_ABSOLUTE);
        let (found, bytes) = read_uf2(&uf2_of(&pieces, family)).unwrap();
        prop_assert_eq!(found, Some(family));
        prop_assert_eq!(bytes, expected(&pieces));
    }

    #[test]
    fn uf2_that_is_cut_off_is_noticed(pieces in pieces(256), at in any::<prop::sample::Index>()) {
        let file = uf2_of(&pieces, 1);
        prop_assert!(matches!(read_uf2(&file[..at.index(file.len())]), Err(Fault::Refused(_))));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        for result in [read_hex(&bytes).map(drop), read_uf2(&bytes).map(drop)] {
            prop_assert!(matches!(result, Ok(()) | Err(Fault::Refused(_))));
        }
    }
}

#[test]
fn hex_in_segments_stays_in_its_segment() {
    let text =
        |offset: u16| [record(2, 0, &[0x10, 0x00]), record(0, offset, &[1, 2]), record(1, 0, &[])].join("\n");
    assert_eq!(read_hex(text(0xfffe).as_bytes()).unwrap().1, Bytes::from([(0x1_fffe, 1), (0x1_ffff, 2)]));
    let Err(Fault::Refused(reason)) = read_hex(text(0xffff).as_bytes()) else { panic!("it wraps around") };
    assert!(reason.starts_with("line 2:"), "{reason}");
}

/// GNU objcopy writes a segment and an offset for an entry point below 1 MiB.
#[test]
fn a_start_in_real_mode_is_an_address() {
    let text =
        [record(3, 0, &[0x10, 0x00, 0x01, 0x01]), record(0, 0x100, &[0]), record(1, 0, &[])].join("\n");
    assert_eq!(read_hex(text.as_bytes()).unwrap().0, Some(0x1_0101));
}

#[test]
fn scattered_data_is_refused_before_it_costs_memory() {
    let mut memory = Memory::new(Spool::default());
    let result = (0_u64..1 << 20).try_for_each(|place| memory.add(place * 16, &[1]));
    assert!(matches!(result, Err(Fault::Refused(reason)) if reason.contains("65536 pieces")));
    let mut memory = Memory::new(Spool::default());
    (0_u64..300).try_for_each(|place| memory.add(place * 16, &[1])).unwrap();
    assert!(matches!(memory.finish(), Err(Fault::Refused(reason)) if reason.contains("300 separate places")));
}

#[test]
fn uf2_passes_over_what_is_no_firmware() {
    let mut file = uf2_of(&[(0x2000_0000, vec![1]), (0x1000_0000, vec![2])], 7);
    file[8..12].copy_from_slice(&0x2001_u32.to_le_bytes());
    assert_eq!(
        read_uf2(&file).unwrap().1,
        Bytes::from([(0x1000_0000, 2)]),
        "another memory than the main flash"
    );
    let mut file = uf2_of(&[(0x10ff_ff00, vec![0xef])], super::uf2_family::RP2350_ABSOLUTE);
    file.extend(uf2_of(&[(0x1000_0000, vec![2])], 7));
    assert_eq!(read_uf2(&file).unwrap(), (Some(7), Bytes::from([(0x1000_0000, 2)])));
    let mut two = uf2_of(&[(0, vec![1])], 7);
    two.extend(uf2_of(&[(512, vec![1])], 8));
    assert!(read_uf2(&two).is_err(), "two firmwares in one file");
}

#[test]
fn a_cortex_m_begins_where_its_vector_table_says() {
    let entry = |words: &[u32], before: usize| {
        let mut memory = Memory::new(Spool::default());
        memory.add(0x1000_0000, &vec![0xff; before]).unwrap();
        let bytes: Vec<_> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        memory.add(0x1000_0000 + before as u64, &bytes).unwrap();
        vector_table::entry(&mut memory.finish().unwrap()).unwrap()
    };
    assert_eq!(entry(&[0x2000_8000, 0x1000_0009, 0], 0), Some(0x1000_0009));
    assert_eq!(
        entry(&[0x2004_2000, 0x1000_0109, 0], 0x100),
        Some(0x1000_0109),
        "behind the RP2040's boot code"
    );
    assert_eq!(entry(&[0x2000_8000, 0x1000_0008, 0], 0), None, "no Thumb code");
    assert_eq!(entry(&[0x2000_8000, 0x3000_0009, 0], 0), None, "code that is not there");
    assert_eq!(entry(&[0x2000_8000], 0), None);
}
