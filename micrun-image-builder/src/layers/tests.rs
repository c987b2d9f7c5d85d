#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;

use super::tree::Found;
use super::*;

/// A block that begins an entry, as ustar has it.
fn header(name: &str, flag: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(block)
}

fn summed(mut block: Vec<u8>) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn entry(name: &str, flag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(name, flag, content.len());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn link(name: &str, flag: u8, target: &str) -> Vec<u8> {
    let mut block = header(name, flag, 0);
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    summed(block)
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (key, value) in records {
        let length = (1..5000).find(|it| format!("{it} {key}={value}\n").len() == *it).unwrap();
        writeln!(text, "{length} {key}={value}").unwrap();
    }
    entry("pax", b'x', &text)
}

fn read(number: usize, parts: &[Vec<u8>]) -> io::Result<Layer> {
    Layer::read(number, parts.concat().as_slice(), &mut Budget::for_an_image())
}

/// What is visible of layers: files by path with their sizes, links with their targets.
fn seen(layers: &[&[Vec<u8>]]) -> io::Result<Vec<String>> {
    let mut stack = Stack::default();
    for (number, parts) in layers.iter().enumerate() {
        stack.push(read(number, parts)?, &mut Budget::for_an_image())?;
    }
    let line = |(path, node): Found<'_>| {
        let path = String::from_utf8(path).unwrap();
        match &node.kind {
            Kind::Directory(_) => format!("{path}/"),
            Kind::File(content) => format!("{path} {}", content.size),
            Kind::Symlink(target) => format!("{path} -> {}", String::from_utf8_lossy(target)),
            other => format!("{path} {other:?}"),
        }
    };
    Ok(stack.tree().walk().map(line).collect())
}

fn content(parts: &[Vec<u8>], path: &str) -> Vec<u8> {
    let layer = read(0, parts).unwrap();
    let Some(Node { kind: Kind::File(file), .. }) = layer.tree.get(path.as_bytes()) else {
        panic!("{layer:?}")
    };
    let mut bytes = Vec::new();
    let wanted = BTreeSet::from([file.place.entry]);
    let mut budget = Budget::for_files();
    read_files(parts.concat().as_slice(), &wanted, &mut budget, |_, from| {
        from.read_to_end(&mut bytes).map(drop)
    })
    .unwrap();
    assert_eq!(bytes.len() as u64, file.size);
    assert_eq!(micrun_firmware::Sha256Digest::of(&bytes), file.sha256);
    bytes
}

#[test]
fn sparse_files_have_their_holes() {
    let map = [("GNU.sparse.name", "f"), ("GNU.sparse.size", "8"), ("GNU.sparse.numblocks", "1")];
    let one = [&map[..], &[("GNU.sparse.map", "2,3")]].concat();
    let zero = [&map[..], &[("GNU.sparse.offset", "2"), ("GNU.sparse.numbytes", "3")]].concat();
    for records in [one, zero] {
        let parts = [pax(&records), entry("GNUSparseFile.1/f", b'0', b"abc")];
        assert_eq!(content(&parts, "f"), b"\0\0abc\0\0\0");
    }
    let records = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "f"),
        ("GNU.sparse.realsize", "8"),
    ];
    let mut stored = b"1\n2\n3\n".to_vec();
    stored.resize(512, 0);
    stored.extend(b"abc");
    assert_eq!(content(&[pax(&records), entry("x", b'0', &stored)], "f"), b"\0\0abc\0\0\0");
}

#[test]
fn a_tar_needs_neither_trailer_nor_padding() {
    let mut last = entry("b", b'0', b"xy");
    last.truncate(514);
    assert_eq!(seen(&[&[entry("a", b'0', b"x"), last]]).unwrap(), ["a 1", "b 2"]);
    let mut cut = entry("b", b'0', b"xy");
    cut.truncate(513);
    assert!(read(0, &[cut]).is_err());
}

#[test]
fn names_come_from_wherever_a_writer_puts_them() {
    let long = "d/".repeat(100) + "f";
    for part in [entry("././@LongLink", b'L', long.as_bytes()), pax(&[("path", &long)])] {
        let lines = seen(&[&[part, entry("short", b'0', b"x")]]).unwrap();
        assert_eq!(lines.last().unwrap(), &format!("{long} 1"));
    }
    let lines =
        seen(&[&[entry("./a", b'0', b"x"), entry("b/../c", b'0', b"xy"), entry("../../e", b'0', b"")]]);
    assert_eq!(lines.unwrap(), ["a 1", "c 2", "e 0"]);
}

#[test]
fn whiteouts_take_what_is_below_and_nothing_else() {
    let lower = [entry("d/a", b'0', b"x"), entry("d/b", b'0', b"x"), entry("e", b'0', b"x")];
    let upper = [entry("d/.wh.a", b'0', b""), entry(".wh.e", b'0', b""), entry("e", b'0', b"new")];
    assert_eq!(seen(&[&lower, &upper]).unwrap(), ["d/", "d/b 1", "e 3"]);
    // An opaque one hides what is below, wherever it stands in its layer.
    for order in [[0, 1], [1, 0]] {
        let parts = [entry("d/c", b'0', b"x"), entry("d/.wh..wh..opq", b'0', b"")];
        let upper: Vec<_> = order.iter().map(|at| parts[*at].clone()).collect();
        assert_eq!(seen(&[&lower, &upper]).unwrap(), ["d/", "d/c 1", "e 1"]);
    }
    // After the file, containerd cannot make it.
    assert!(seen(&[&lower, &[entry("e", b'0', b"new"), entry(".wh.e", b'0', b"")]]).is_err());
    assert!(seen(&[&lower, &[entry("d/.wh...", b'0', b"")]]).is_err());
}

/// containerd spares what it has unpacked, by its path, and removes all else.
#[test]
fn an_opaque_whiteout_of_the_lowest_layer_removes_what_no_entry_has_made() {
    let opaque = |of: &str| entry(&format!("{of}.wh..wh..opq"), b'0', b"");
    let lines = seen(&[&[
        entry("d/", b'5', b""),
        entry("d/own", b'0', b"x"),
        entry("d/implied/f", b'0', b"x"),
        opaque("d/"),
        opaque("d/"),
        entry("d/implied/again", b'0', b""),
        entry("e/f", b'0', b""),
    ]]);
    assert_eq!(lines.unwrap(), ["d/", "d/implied/", "d/implied/again 0", "d/own 1", "e/", "e/f 0"]);
    // A path that an entry has made once is spared for good.
    let lines = seen(&[&[
        entry("d/x", b'0', b""),
        entry("d/.wh.x", b'0', b""),
        entry("d/x/f", b'0', b""),
        opaque("d/"),
        entry("d/y/f", b'0', b""),
        entry("d/y", b'5', b""),
        opaque(""),
    ]]);
    assert_eq!(lines.unwrap_err().kind(), io::ErrorKind::InvalidData);
    let lines = seen(&[&[
        entry("d/x", b'0', b""),
        entry("d/.wh.x", b'0', b""),
        entry("d/x/f", b'0', b""),
        opaque("d/"),
    ]]);
    assert_eq!(lines.unwrap(), ["d/", "d/x/", "d/x/f 0"]);
}

#[test]
fn links_are_followed_within_their_layer() {
    let linked = [entry("d/x", b'0', b""), link("l", b'2', "d"), entry("l/f", b'0', b"x")];
    assert_eq!(seen(&[&linked]).unwrap(), ["d/", "d/f 1", "d/x 0", "l -> d"]);
    // In a layer of its own, `l` is a directory, which hides the link.
    assert_eq!(seen(&[&linked[..2], &linked[2..]]).unwrap(), ["d/", "d/x 0", "l/", "l/f 1"]);
    let hard = [entry("a", b'0', b"xy"), link("b", b'1', "a")];
    assert_eq!(seen(&[&hard]).unwrap(), ["a 2", "b 2"]);
    assert!(seen(&[&hard[..1], &hard[1..]]).is_err());
    assert!(read(0, &[link("l", b'2', "l"), entry("l/f", b'0', b"")]).is_err());
}

#[test]
fn a_directory_that_takes_a_links_place_looks_as_where_the_link_led() {
    let directory = |name: &str| {
        let mut header = ::tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(::tar::EntryType::Directory);
        header.set_mode(0o711);
        header.set_size(0);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let lower = [directory("d/"), directory("d/x/"), link("l", b'2', "d")];
    let stack = pushed(1000, &[&lower, &[entry("l/x/f", b'0', b""), entry("l/y/f", b'0', b"")]]).unwrap();
    let mode = |path: &[u8]| stack.tree().get(path).unwrap().meta.mode;
    assert_eq!((mode(b"l"), mode(b"l/x"), mode(b"l/y")), (0o711, 0o711, 0o755));
}

#[test]
fn what_containerd_cannot_unpack_is_refused() {
    for flag in [b'7', b'S', b'V'] {
        assert!(read(0, &[entry("f", flag, b"")]).is_err(), "{flag}");
    }
    assert!(read(0, &[entry("a", b'0', b""), entry("a/b", b'0', b"")]).is_err());
    assert!(read(0, &[entry("d/", b'5', b""), entry(".wh.d", b'0', b"")]).is_err());
}

#[test]
fn a_layer_is_what_it_changes() {
    let mut stack = Stack::default();
    let mut budget = Budget::for_an_image();
    stack.push(read(0, &[entry("d/a", b'0', b"x"), entry("e", b'0', b"x")]).unwrap(), &mut budget).unwrap();
    let upper = read(1, &[entry(".wh.d", b'0', b""), entry("e", b'0', b"new")]).unwrap();
    let changes = stack.push(upper, &mut budget).unwrap();
    let lines: Vec<_> = changes
        .iter()
        .map(|it| (String::from_utf8_lossy(&it.path), it.before.is_some(), it.after.is_some()))
        .collect();
    assert_eq!(lines, [("d/a".into(), true, false), ("e".into(), true, true)]);
}

#[test]
fn any_compression_is_told_by_its_bytes() {
    use flate2::write::GzEncoder;
    let gzip = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let skippable = [&0x184d_2a57_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"skip"].concat();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    let cases = [
        b"abcdef".to_vec(),
        [gzip(b"abc"), gzip(b"def")].concat(),
        [zstd(b"abc"), zstd(b"def")].concat(),
        [skippable.clone(), zstd(b"abc"), skippable, zstd(b"def")].concat(),
    ];
    for case in cases {
        let mut bytes = Vec::new();
        decoder(Packing::ByContent, case.as_slice()).unwrap().read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, b"abcdef");
    }
    assert_eq!(Packing::of("application/vnd.oci.image.layer.v1.tar"), Packing::Plain);
    assert_eq!(Packing::of("application/vnd.oci.image.layer.v1.tar+zstd"), Packing::ByContent);
    assert_eq!(Packing::of("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"), Packing::Encrypted);
    assert_eq!(Packing::of("text/plain"), Packing::Unknown);
}

/// A layer upon another one, when only so many names may be looked up or passed by.
fn pushed(steps: u64, layers: &[&[Vec<u8>]]) -> io::Result<Stack> {
    let mut budget = Budget::of_steps(steps);
    let mut stack = Stack::default();
    for (number, parts) in layers.iter().enumerate() {
        let layer = Layer::read(number, parts.concat().as_slice(), &mut budget)?;
        stack.push(layer, &mut budget)?;
    }
    Ok(stack)
}

/// These did not end in time.
#[test]
fn work_is_linear_in_what_an_image_has() {
    const FILES: u64 = 10_000;
    let lower: Vec<_> = (0..FILES).map(|id| entry(&format!("d/{id}"), b'0', b"")).collect();
    let upper: Vec<_> = (0..FILES).map(|id| entry(&format!("d/.wh.{id}"), b'0', b"")).collect();
    let stack = pushed(20 * FILES, &[&lower, &upper]).unwrap();
    assert_eq!(stack.tree().walk().count(), 1);
    // Each opaque whiteout in the lowest layer looked at all files.
    let files = (0..FILES).map(|id| entry(&format!("d/{id}"), b'0', b""));
    let opaque = vec![entry("d/.wh..wh..opq", b'0', b""); 10_000];
    let stack = pushed(10 * FILES, &[&[vec![entry("d/", b'5', b"")], files.collect(), opaque].concat()]);
    assert_eq!(stack.unwrap().tree().walk().count(), 10_001);
    let deep = |id| pax(&[("path", &format!("{}{id}", "d/".repeat(1900)))]);
    let deep: Vec<_> = (0..100).flat_map(|id| [deep(id), entry("f", b'0', b"")]).collect();
    let stack = pushed(10 * 100 * 1900, &[&deep]).unwrap();
    assert_eq!(stack.tree().walk().count(), 2000);
}

#[test]
fn what_cannot_be_linear_is_refused_as_too_large() {
    let too_large = |parts: &[Vec<u8>]| {
        let error = pushed(100_000, &[parts]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
    };
    // Below a link, a short name in the tar is a long path.
    let deep = pax(&[("path", &format!("{}f", "d/".repeat(1900)))]);
    let link = [pax(&[("linkpath", &"d/".repeat(1900))]), link("l", b'2', "d")].concat();
    let files = (0..2000).map(|id| entry(&format!("l/{id}"), b'0', b""));
    too_large(&[vec![deep, entry("f", b'0', b""), link], files.collect()].concat());
    let bomb = pax(&[
        ("GNU.sparse.map", "0,0"),
        ("GNU.sparse.numblocks", "1"),
        ("GNU.sparse.size", "9000000000000"),
    ]);
    let mut budget = Budget::of_bytes(1 << 20);
    let bomb = [bomb, entry("f", b'0', b"")].concat();
    let error = Layer::read(0, bomb.as_slice(), &mut budget).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
}

/// A reader that counts.
struct Counting<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.bytes.read(buffer)?;
        self.read += read;
        Ok(read)
    }
}

/// Each file of a layer was a pass over it.
#[test]
fn many_files_are_fetched_in_one_pass() {
    let parts: Vec<_> = (0..1000).map(|id| entry(&id.to_string(), b'0', b"content")).collect();
    let bytes = parts.concat();
    let mut layer = Counting { bytes: &bytes, read: 0 };
    let mut taken = Vec::new();
    let wanted = (0..1000).collect();
    read_files(&mut layer, &wanted, &mut Budget::for_files(), |number, from| {
        assert_eq!(io::copy(from, &mut io::sink())?, 7);
        taken.push(number);
        Ok(())
    })
    .unwrap();
    assert_eq!(taken, wanted.into_iter().collect::<Vec<_>>());
    assert!(layer.read <= bytes.len(), "{} of {}", layer.read, bytes.len());
}
