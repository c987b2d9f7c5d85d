//! Deltas: what they give, what is refused, and how a rootfs with one is resolved.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;

use micrun_firmware::delta::{Content, Header, Identity, MAX_CHAIN, Operation, Target};
use micrun_firmware::{Error, Result, Sha256Digest};
use proptest::prelude::*;
use support::Elf;
use support::image::Image;

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn identity(bytes: &[u8]) -> Identity {
    Identity { sha256: Sha256Digest::of(bytes), size: bytes.len() as u64 }
}

const fn copy(from: u64, size: u64) -> Operation {
    Operation { from: Some(from), size }
}

const fn own(size: u64) -> Operation {
    Operation { from: None, size }
}

/// A delta from `base` at `path` to `result`; `own` are the bytes that it brings.
fn delta(path: &str, base: &[u8], result: &[u8], operations: &[Operation], own: &[u8]) -> Vec<u8> {
    let Identity { sha256, size } = identity(base);
    let base = Target { path: path.into(), sha256, size };
    let header = Header::new(base, operations.to_vec(), identity(result)).unwrap();
    [&header.to_bytes().unwrap(), own].concat()
}

/// What a delta gives, of files by their paths.
fn apply(delta: &[u8], files: &BTreeMap<&str, Vec<u8>>) -> Result<Vec<u8>> {
    let content = Content::open(file(delta), &mut |path| Ok(file(&files[path])))?;
    let Content::Delta(delta) = content else { panic!("no delta") };
    let to = tempfile::tempfile().unwrap();
    let digest = delta.copy_to(&to)?;
    let mut bytes = vec![0; usize::try_from(to.metadata().unwrap().len()).unwrap()];
    to.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(digest, Sha256Digest::of(&bytes));
    Ok(bytes)
}

fn error(delta: &[u8], base: &[u8]) -> String {
    apply(delta, &BTreeMap::from([("/base", base.to_vec())])).unwrap_err().to_string()
}

fn hello() -> Vec<u8> {
    delta("/base", b"hello, world", b"hello, RTOS, world", &[copy(0, 7), own(6), copy(7, 5)], b"RTOS, ")
}

/// The bytes of version 1, once and for ever.
#[test]
fn the_format_is_frozen() {
    let expected = format!(
        "micrun-delta\n{{\"base\":{{\"path\":\"/base\",\"sha256\":\"{}\",\"size\":12}},\"operations\":[{{\"from\":0,\
         \"size\":7}},{{\"size\":6}},{{\"from\":7,\"size\":5}}],\"result\":{{\"sha256\":\"{}\",\"size\":18}},\
         \"version\":1}}\nRTOS, ",
        Sha256Digest::of(b"hello, world"),
        Sha256Digest::of(b"hello, RTOS, world"),
    );
    assert_eq!(String::from_utf8(hello()).unwrap(), expected);
}

#[test]
fn an_insertion_costs_its_own_bytes() {
    let files = BTreeMap::from([("/base", b"hello, world".to_vec())]);
    assert_eq!(apply(&hello(), &files).unwrap(), b"hello, RTOS, world");
}

#[test]
fn deltas_stand_upon_each_other() {
    let second = delta("/first", b"hello, RTOS, world", b"RTOS!", &[copy(7, 4), own(1)], b"!");
    let mut files = BTreeMap::from([("/base", b"hello, world".to_vec()), ("/first", hello())]);
    assert_eq!(apply(&second, &files).unwrap(), b"RTOS!");
    // The first gives something else than the second was made for.
    files.insert("/first", delta("/base", b"hello, world", b"hello", &[copy(0, 5)], b""));
    let error = apply(&second, &files).unwrap_err().to_string();
    assert!(error.contains("its base \"/first\" is a delta that gives sha256:"), "{error}");
}

#[test]
fn a_delta_that_stands_upon_itself_ends() {
    let own = delta("/own", b"hello, RTOS, world", b"hello, RTOS, world", &[copy(0, 18)], b"");
    let error = apply(&own, &BTreeMap::from([("/own", own.clone())])).unwrap_err().to_string();
    assert!(error.contains(&format!("more than {MAX_CHAIN} deltas")), "{error}");
}

#[test]
fn a_wrong_base_and_changed_bytes_are_refused() {
    let wrong = error(&hello(), b"hello, World");
    assert!(wrong.contains("its base \"/base\" is sha256:") && wrong.contains("it was made for"), "{wrong}");
    let longer = error(&hello(), b"hello, world!");
    assert!(longer.contains("(13 bytes), but it was made for"), "{longer}");
    let mut changed = hello();
    *changed.last_mut().unwrap() = b'.';
    let changed = error(&changed, b"hello, world");
    assert!(changed.contains("it gives sha256:") && changed.contains("instead of"), "{changed}");
}

#[test]
fn a_header_that_cannot_be_true_is_refused() {
    let good = String::from_utf8(hello()).unwrap();
    let many = format!("\"operations\":[{}", "{\"from\":0,\"size\":1},".repeat(17000));
    for (bad, expected) in [
        (good[..good.len() - 1].to_owned(), "it has 5 bytes of its own instead of 6"),
        (format!("{good}x"), "it has 7 bytes of its own instead of 6"),
        (good.replace("\"version\":1", "\"version\":2"), "it has version 2"),
        (good.replace("{\"from\":0,\"size\":7}", "{\"from\":6,\"size\":7}"), "leaves its base"),
        (
            good.replace("{\"from\":0,\"size\":7}", "{\"from\":18446744073709551615,\"size\":7}"),
            "leaves its base",
        ),
        (good.replace("{\"from\":0,\"size\":7}", "{\"from\":0,\"size\":0}"), "leaves its base"),
        (good.replace("\"size\":18", "\"size\":19"), "give 18 bytes instead of 19"),
        (good.replace("\"size\":18", "\"size\":999999999999"), "a firmware has at most"),
        (good.replace("\"/base\"", "\"/../base\""), "is not a canonical absolute path"),
        (good.replace("\"version\":1", "\"version\":1,\"x\":0"), "unknown field"),
        (good.replace("\"version\":1", "\"version\": 1"), "not canonical"),
        (good.replace("\"operations\":[", &many), "more than 16384 operations"),
        (
            good.replace("\"version\":1", &format!("\"version\":{}1", " ".repeat(1 << 20))),
            "does not end within",
        ),
    ] {
        assert_ne!(bad, good);
        let error = error(bad.as_bytes(), b"hello, world");
        assert!(error.contains(expected), "{error}\n{expected}");
    }
}

proptest! {
    #[test]
    fn operations_give_what_they_say(
        base in prop::collection::vec(any::<u8>(), 1..3000),
        parts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<bool>()), 1..20),
    ) {
        let (mut result, mut bytes, mut operations) = (Vec::new(), Vec::new(), Vec::new());
        for (start, end, is_own) in parts {
            let (start, end) = (start.index(base.len()), end.index(base.len()));
            let part = &base[start.min(end)..=start.max(end)];
            let size = part.len() as u64;
            result.extend(part);
            if is_own {
                bytes.extend(part);
            }
            operations.push(if is_own { own(size) } else { copy(start.min(end) as u64, size) });
        }
        let delta = delta("/base", &base, &result, &operations, &bytes);
        prop_assert_eq!(apply(&delta, &BTreeMap::from([("/base", base)])).unwrap(), result);
    }

    #[test]
    fn mutations_never_panic(at: prop::sample::Index, byte: u8) {
        let mut bytes = hello();
        let length = bytes.len();
        bytes[at.index(length)] = byte;
        if let Ok(content) = Content::open(file(&bytes), &mut |_| Ok(file(b"hello, world"))) {
            let _ = content.read_at(&mut [0; 64], 3);
        }
    }
}

/// A rootfs with a firmware and a delta of it, which client.conf names; the result's message differs.
fn rootfs() -> (Image, Elf) {
    let (base, mut result) = (Elf::default(), Elf::default());
    result.loads[1].bytes[..4].copy_from_slice(b"RTOS");
    let (old, new) = (base.bytes(), result.bytes());
    let at = 64 + 2 * 56 + 256;
    let operations = [copy(0, at), own(4), copy(at + 4, old.len() as u64 - at - 4)];
    let image = Image::new()
        .elf("firmware.elf", &base)
        .file(".micrun/deltas/0001.delta", delta("/firmware.elf", &old, &new, &operations, b"RTOS"))
        .file(
            "client.conf",
            format!(
                "[Mica]\nClientPath = /.micrun/deltas/0001.delta\n[Micrun]\ncontainer.firmware_hash = {}\n",
                Sha256Digest::of(&new)
            ),
        );
    (image, result)
}

#[test]
fn a_rootfs_with_a_delta_has_the_firmware_that_it_gives() {
    let (image, result) = rootfs();
    let firmware = image.resolve().unwrap();
    assert_eq!(firmware.elf.file_size, result.bytes().len() as u64);
    let to = tempfile::tempfile().unwrap();
    assert_eq!(firmware.copy_to(&to).unwrap(), Sha256Digest::of(&result.bytes()));
    let mut bytes = vec![0; result.bytes().len()];
    to.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(bytes, result.bytes());
}

/// A shim from before deltas looks for an ELF where client.conf says, and finds none; and if a container names the base
/// itself, the digest in client.conf is not that of the base.
#[test]
fn who_names_the_base_of_a_delta_does_not_get_it() {
    let (image, _) = rootfs();
    let named = image.annotation("container.firmware_path", "/firmware.elf").error();
    assert!(matches!(named, Error::DigestMismatch { .. }), "{named}");
}

#[test]
fn a_base_outside_of_the_rootfs_is_not_reached() {
    let (image, result) = rootfs();
    let image = image.link("out.elf", "../outside.elf").file(
        ".micrun/deltas/0001.delta",
        delta("/out.elf", b"x", &result.bytes(), &[own(result.bytes().len() as u64)], &result.bytes()),
    );
    let error = image.error();
    assert!(matches!(error, Error::Escape { .. }), "{error}");
}
