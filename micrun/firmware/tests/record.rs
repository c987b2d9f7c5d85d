//! Layer-modification records.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::Cursor;

use micrun_firmware::changes::{ByteRange, Changes, Image};
use micrun_firmware::record::{self, Address, Change, Content, ElfContent, LayerRecord, SegmentContent};
use micrun_firmware::{ElfInfo, Sha256Digest};
use proptest::prelude::*;
use serde_json::Value;
use support::Elf;

fn add(path: &str, content: Content) -> LayerRecord {
    let mut record = LayerRecord::default();
    record.insert(path, Change::Add(content)).unwrap();
    record
}

fn firmware(elf: &Elf) -> Content {
    let bytes = elf.bytes();
    let info = ElfInfo::parse(&bytes).unwrap();
    Content::of_firmware(&mut Cursor::new(bytes), &info, 0o644).unwrap()
}

/// The bytes of schema 1, once and for ever: a change here breaks every image there is.
#[test]
fn schema_1_is_frozen() {
    let mut record = add("/firmware.elf", firmware(&Elf::default()));
    record.insert("/client.conf", Change::Add(Content::of(b"[Mica]\n", 0o644))).unwrap();
    let golden = include_bytes!("golden/record.json");
    assert_eq!(String::from_utf8_lossy(&record.to_json().unwrap()), String::from_utf8_lossy(golden));
    assert_eq!(LayerRecord::parse(golden).unwrap(), record);
    assert_eq!(record::path(0), "/.micrun/records/0000.json");
}

/// The bytes of schema 2, once and for ever.
#[test]
fn schema_2_is_frozen() {
    let (base, mut result) = (Elf::default(), Elf::default());
    result.loads[1].bytes[16..24].copy_from_slice(b"new text");
    let image = |elf: &Elf| Image::elf(Cursor::new(elf.bytes())).unwrap();
    let changes = Changes::between(&mut image(&base), &mut image(&result)).unwrap();
    let content = Content { changes: Some(changes.ranges), ..firmware(&result) };
    let mut record = LayerRecord::default();
    let before = Sha256Digest::of(&base.bytes());
    record.insert("/firmware.elf", Change::Replace { before, content }).unwrap();
    let golden = include_bytes!("golden/changes.json");
    assert_eq!(String::from_utf8_lossy(&record.to_json().unwrap()), String::from_utf8_lossy(golden));
    assert_eq!(LayerRecord::parse(golden).unwrap(), record);
}

#[test]
fn changes_that_are_not_possible_are_refused() {
    let good = include_str!("golden/changes.json");
    let paddr = "\"paddr\":\"0x40090010\"";
    let range = &good[good.find("[{").unwrap() + 1..=good.find("}]").unwrap()];
    for (bad, expected) in [
        (good.replace("\"schema\":2", "\"schema\":1"), "schema 1 that of any other"),
        (include_str!("golden/record.json").replace("\"schema\":1", "\"schema\":2"), "schema 2 is that of"),
        (good.replace("\"size\":8", "\"size\":0"), "the change at 0x40090010 is not possible"),
        (good.replace(paddr, "\"paddr\":\"0xffffffffffffffff\""), "is not possible"),
        (good.replace("\"offset\":448", "\"offset\":999999999999"), "is not possible"),
        (good.replace(range, &format!("{range},{range}")), "the change at 0x40090010 is not possible"),
        (good.replace(range, &vec![range; 4097].join(",")), "it has 4097 changes"),
    ] {
        assert_ne!(bad, good);
        let error = LayerRecord::parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn segments_are_digested_one_by_one() {
    let content = firmware(&Elf::default());
    assert_eq!(content.sha256, Sha256Digest::of(&Elf::default().bytes()));
    let elf = content.elf.unwrap();
    assert_eq!(
        (elf.class.as_str(), elf.machine.as_str(), elf.entry),
        ("ELF64", "aarch64", Address(0x4008_0010))
    );
    let expected = SegmentContent {
        filesz: 64,
        flags: 6,
        memsz: 4096,
        paddr: Address(0x4009_0000),
        sha256: Sha256Digest::of(&[0xbb; 64]),
        vaddr: Address(0x4009_0000),
    };
    assert_eq!(elf.segments[1], expected);
}

#[test]
fn the_three_operations_are_read_back() {
    let before = Sha256Digest::of(b"old");
    let mut record = add("/a", Content::of(b"new", 0o755));
    record.insert("/b", Change::Replace { before, content: Content::of(b"", 0o600) }).unwrap();
    record.insert("/c d/é", Change::Delete { before }).unwrap();
    let json = record.to_json().unwrap();
    assert_eq!(LayerRecord::parse(&json).unwrap(), record);
    assert_eq!(LayerRecord::parse_verified(&json, Sha256Digest::of(&json)).unwrap(), record);
    let changed = LayerRecord::parse_verified(&json, before).unwrap_err().to_string();
    assert!(changed.contains("the image was changed after it was packed"), "{changed}");
}

#[test]
fn what_is_not_canonical_or_of_another_schema_is_refused() {
    let good = String::from_utf8(add("/a", Content::of(b"new", 0o755)).to_json().unwrap()).unwrap();
    for (bad, expected) in [
        (good.replace(',', ", "), "not canonical"),
        (format!("{good}\n"), "not canonical"),
        (good.replace("sha256:", ""), "not canonical"),
        (good.replace("\"0755\"", "\"755\""), "not canonical"),
        (
            good.replace("\"schema\":1", "\"schema\":3"),
            "it has schema 3 and this program reads schemas 1 and 2",
        ),
        (good.replace("\"schema\":1", "\"schema\":1,\"x\":0"), "unknown field `x`"),
        (good.replace("\"size\":3", "\"size\":9007199254740993"), "is not possible"),
        (good.replace("\"0755\"", "\"10755\""), "more than permission bits"),
        (good.replace("\"add\"", "\"delete\""), "delete has sha256_before and nothing else"),
        (good.replace("\"add\"", "\"replace\""), "replace has sha256_before"),
        (good.replace("\"size\":3", "\"siz\":3"), "unknown field `siz`"),
        (good.replace("\"/a\"", "\"/a/../b\""), "\"/a/../b\" is not a canonical absolute path"),
        (good.replace("\"/a\"", "\"a\""), "is not a canonical absolute path"),
        ("[]".into(), "it cannot be read"),
        (String::new(), "it cannot be read"),
    ] {
        let error = LayerRecord::parse(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("layer record: ") && error.contains(expected), "{bad}\n{error}");
    }
}

#[test]
fn files_are_verified_against_it() {
    let mut record = add("/firmware.elf", firmware(&Elf::default()));
    record.insert("/gone", Change::Delete { before: Sha256Digest::of(b"") }).unwrap();
    record.verify("/firmware.elf", &firmware(&Elf::default())).unwrap();
    let mut patched = Elf::default();
    patched.loads[0].bytes[0] = 0;
    let mut moved = firmware(&Elf::default());
    moved.elf.as_mut().unwrap().segments[0].paddr = Address(0);
    let mut mode = firmware(&Elf::default());
    mode.mode = 0o755;
    for (path, content, expected) in [
        ("/firmware.elf", &firmware(&patched), "its sha256 is sha256:"),
        ("/firmware.elf", &mode, "its mode is 0755, but the record says 0644"),
        ("/firmware.elf", &moved, "its segments are not the record's"),
        ("/other", &mode, "the layer has it, but the record does not"),
        ("/gone", &mode, "the record says that the layer deletes it"),
    ] {
        let error = record.verify(path, content).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(record.insert("/gone", Change::Add(mode)).is_err(), "one change for each file");
}

/// A JSON text with its keys sorted and without white space, by other means than the writer's.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort();
            let pair =
                |key: &&String| format!("{}:{}", Value::from(key.as_str()), canonical(&map[key.as_str()]));
            format!("{{{}}}", keys.iter().map(pair).collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        plain => plain.to_string(),
    }
}

fn digest() -> impl Strategy<Value = Sha256Digest> {
    any::<[u8; 8]>().prop_map(|seed| Sha256Digest::of(&seed))
}

prop_compose! {
    fn segment()(
        filesz in 0..1u64 << 53, memsz in 0..1u64 << 53, flags: u32, paddr: u64, vaddr: u64, sha256 in digest(),
    ) -> SegmentContent {
        SegmentContent { filesz, flags, memsz, paddr: Address(paddr), sha256, vaddr: Address(vaddr) }
    }
}

prop_compose! {
    fn ranges()(sizes in prop::collection::vec((2..1u64 << 20, 1..1u64 << 20, digest(), digest()), 0..4)) -> Vec<ByteRange> {
        let mut free = 0;
        let range = |&(gap, size, sha256_before, sha256_after): &(u64, u64, Sha256Digest, Sha256Digest)| {
            let paddr = Address(free + gap);
            free = paddr.0 + size;
            ByteRange { offset: gap, paddr, sha256_after, sha256_before, size }
        };
        sizes.iter().map(range).collect()
    }
}

prop_compose! {
    fn content()(
        mode in 0u32..=0o7777, sha256 in digest(), size in 0..1u64 << 53,
        elf in prop::option::of((any::<u64>(), prop::collection::vec(segment(), 0..4))),
        changes in prop::option::of(ranges()),
    ) -> Content {
        let elf = elf.map(|(entry, segments)| ElfContent {
            class: "ELF64".into(), entry: Address(entry), machine: "aarch64".into(), segments,
        });
        Content { mode, sha256, size, elf, changes }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        content().prop_map(Change::Add),
        (digest(), content()).prop_map(|(before, content)| Change::Replace { before, content }),
        digest().prop_map(|before| Change::Delete { before }),
    ]
}

proptest! {
    #[test]
    fn every_record_is_canonical_and_read_back(
        files in prop::collection::btree_map("(/[a-zA-Z0-9é\"\\\\ _-]{1,8}){1,3}", change(), 0..6),
    ) {
        let mut record = LayerRecord::default();
        for (path, change) in files {
            record.insert(&path, change).unwrap();
        }
        let json = record.to_json().unwrap();
        let value: Value = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(canonical(&value), String::from_utf8(json.clone()).unwrap());
        prop_assert_eq!(LayerRecord::parse(&json).unwrap(), record);
    }

    #[test]
    fn mutations_never_panic(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut json = add("/firmware.elf", firmware(&Elf::default())).to_json().unwrap();
        let length = json.len();
        json[at.index(length)] = byte;
        json.truncate(cut.index(length) + 1);
        let _ = LayerRecord::parse(&json);
    }
}
