//! Layers as no builder makes them, each with one oddity: what containerd makes of them is the right answer.

use std::io::Write;

use crate::archive::RawLayer;

const OCI: &str = "application/vnd.oci.image.layer.v1.tar";

/// An image with a short name that says what is odd.
pub struct Odd {
    /// For messages and for the image's name.
    pub name: &'static str,
    /// From the lowest on.
    pub layers: Vec<RawLayer>,
}

/// All of them.
pub fn corpus() -> Vec<Odd> {
    let mut all = tars();
    all.extend(sparse());
    all.extend(links());
    all.extend(whiteouts());
    all.extend(names());
    all.extend(compressions());
    all
}

fn odd(name: &'static str, layers: &[&[Vec<u8>]]) -> Odd {
    Odd { name, layers: layers.iter().map(|parts| plain(&archive(parts))).collect() }
}

fn sparse() -> Vec<Odd> {
    let sparse = [("GNU.sparse.name", "sparse"), ("GNU.sparse.size", "9000"), ("GNU.sparse.numblocks", "2")];
    let with = |more: &[(&str, &str)]| pax(&[&sparse[..], more].concat());
    let map = [("GNU.sparse.map", "0,3,4096,3")];
    let pairs = [
        ("GNU.sparse.offset", "0"),
        ("GNU.sparse.numbytes", "3"),
        ("GNU.sparse.offset", "4096"),
        ("GNU.sparse.numbytes", "3"),
    ];
    let version = [
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "sparse"),
        ("GNU.sparse.realsize", "9000"),
    ];
    let mut in_content = b"2\n0\n3\n4096\n3\n".to_vec();
    in_content.resize(512, 0);
    in_content.extend(b"abcdef");
    let after = file("after", b"after");
    let gnu_sparse = {
        let mut block = gnu(header("sparse", b'S', 6));
        for (at, number) in [(386, 0), (398, 3), (410, 4096), (422, 3), (483, 9000)] {
            block[at..at + 12].copy_from_slice(format!("{number:011o}\0").as_bytes());
        }
        padded(sum(block, false), b"abcdef")
    };
    vec![
        odd(
            "sparse-0-0",
            &[&[with(&pairs), entry("GNUSparseFile.1/sparse", b'0', b"abcdef"), after.clone()]],
        ),
        odd("sparse-0-1", &[&[with(&map), entry("GNUSparseFile.1/sparse", b'0', b"abcdef"), after.clone()]]),
        odd(
            "sparse-1-0",
            &[&[pax(&version), entry("GNUSparseFile.1/sparse", b'0', &in_content), after.clone()]],
        ),
        odd("sparse-short", &[&[with(&map), entry("sparse", b'0', b"abc"), after.clone()]]),
        odd("sparse-long", &[&[with(&map), entry("sparse", b'0', b"abcdefgh"), after.clone()]]),
        odd("sparse-gnu", &[&[gnu_sparse, after.clone()]]),
    ]
}

fn tars() -> Vec<Odd> {
    let after = file("after", b"after");
    let mut signed = header("f", b'0', 0);
    signed[0] = 0xe9;
    let signed = sum(signed, true);
    let base256 = {
        let mut block = header("f", b'0', 0);
        block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]);
        padded(sum(block, false), b"abc")
    };
    let star = {
        let mut block = header("f", b'0', 3);
        block[345..348].copy_from_slice(b"dir");
        block[508..512].copy_from_slice(b"tar\0");
        padded(sum(block, false), b"abc")
    };
    let v7 = {
        let mut block = header("v7/", 0, 0);
        block[257..265].fill(0);
        sum(block, false)
    };
    let bad_sum = {
        let mut block = header("f", b'0', 0);
        block[148] ^= 1;
        block
    };
    let raw = |name, bytes: Vec<u8>| Odd { name, layers: vec![plain(&bytes)] };
    let unpadded = [after.clone(), { padded(header("f", b'0', 3), b"abc")[..515].to_vec() }].concat();
    let one_zero_block = [file("f", b"abc"), vec![0; 512]].concat();
    let goes_on = [file("f", b"abc"), vec![0; 512], after.clone()].concat();
    let garbage = [archive(&[file("f", b"abc")]), b"garbage behind the end".to_vec()].concat();
    vec![
        odd("contiguous", &[&[entry("f", b'7', b"abc"), after.clone()]]),
        odd("unknown-type", &[&[entry("f", b'V', b"abc"), after.clone()]]),
        odd("signed-sum", &[&[signed, after.clone()]]),
        odd("base-256", &[&[base256, after.clone()]]),
        odd("star-prefix", &[&[star, after.clone()]]),
        odd("v7-directory", &[&[v7, after.clone()]]),
        odd("bad-sum", &[&[bad_sum, after.clone()]]),
        odd(
            "global-header",
            &[&[entry("pax_global_header", b'g', &records(&[("comment", "x")])), after.clone()]],
        ),
        odd(
            "global-header-over-file",
            &[&[file("f", b"abc"), entry("f", b'g', &records(&[("comment", "x")]))]],
        ),
        odd("pax-size", &[&[pax(&[("size", "3")]), padded(header("f", b'0', 0), b"abc"), after.clone()]]),
        odd("pax-empty-value", &[&[pax(&[("path", "")]), file("f", b"abc")]]),
        odd("pax-broken", &[&[entry("x", b'x', b"nonsense"), file("f", b"abc")]]),
        odd(
            "owner-and-attributes",
            &[&[
                pax(&[
                    ("uid", "3000000"),
                    ("gid", "7"),
                    ("mtime", "-5.5"),
                    ("SCHILY.xattr.trusted.odd", "yes"),
                ]),
                file("f", b"abc"),
                pax(&[("SCHILY.xattr.trusted.odd", "yes, too")]),
                entry("d/", b'5', b""),
            ]],
        ),
        odd("fifo-and-device", &[&[entry("fifo", b'6', b""), device("null", 1, 3)]]),
        odd("duplicate", &[&[file("f", b"first"), file("f", b"second")]]),
        odd("file-then-directory", &[&[file("x", b"abc"), entry("x/", b'5', b""), file("x/f", b"abc")]]),
        odd("directory-then-file", &[&[entry("x/", b'5', b""), file("x/f", b"abc"), file("x", b"abc")]]),
        odd("below-a-file", &[&[file("x", b"abc"), file("x/f", b"abc")]]),
        raw("no-trailer", file("f", b"abc")),
        raw("no-padding", unpadded),
        raw("one-zero-block", one_zero_block),
        raw("behind-a-zero-block", goes_on),
        raw("garbage-behind", garbage),
        raw("cut-off", file("f", &[b'x'; 600])[..1000].to_vec()),
        raw("empty-blob", Vec::new()),
    ]
}

fn links() -> Vec<Odd> {
    let linked = [entry("d/", b'5', b""), link("l", b'2', "d")];
    vec![
        odd("below-a-link", &[&[linked[0].clone(), linked[1].clone(), file("l/f", b"abc")]]),
        odd("below-a-link-of-a-lower-layer", &[&linked, &[file("l/f", b"abc")]]),
        odd("below-an-absolute-link", &[&[linked[0].clone(), link("l", b'2', "/d"), file("l/f", b"abc")]]),
        odd("below-a-climbing-link", &[&[link("l", b'2', "../../.."), file("l/f", b"abc")]]),
        odd("below-links-to-links", &[&[link("a", b'2', "b"), link("b", b'2', "c/d"), file("a/f", b"abc")]]),
        odd("below-a-dangling-link", &[&[link("l", b'2', "none"), file("l/f", b"abc")]]),
        odd("below-a-loop", &[&[link("l", b'2', "l"), file("l/f", b"abc")]]),
        odd("link-replaced", &[&linked, &[entry("l/", b'5', b""), file("l/f", b"abc")]]),
        odd("hard-link", &[&[file("a", b"abc"), link("b", b'1', "a")]]),
        odd("hard-link-to-link", &[&[linked[0].clone(), linked[1].clone(), link("b", b'1', "l")]]),
        odd(
            "hard-link-through-link",
            &[&[file("d/a", b"abc"), link("l", b'2', "d"), link("b", b'1', "l/a")]],
        ),
        odd("hard-link-across-layers", &[&[file("a", b"abc")], &[link("b", b'1', "a")]]),
        odd("hard-link-to-nothing", &[&[link("b", b'1', "a")]]),
        odd("hard-link-before-its-file", &[&[link("b", b'1', "a"), file("a", b"abc")]]),
        odd("hard-link-to-directory", &[&[linked[0].clone(), link("b", b'1', "d")]]),
        odd("hard-link-climbing", &[&[file("a", b"abc"), link("d/b", b'1', "../../a")]]),
        odd("empty-link", &[&[link("l", b'2', "")]]),
    ]
}

fn whiteouts() -> Vec<Odd> {
    let lower = [file("d/a", b"a"), file("d/b", b"b"), file("e", b"e")];
    let over = |name, upper: &[Vec<u8>]| odd(name, &[&lower, upper]);
    let opaque = file("d/.wh..wh..opq", b"");
    vec![
        over("whiteout", &[file("d/.wh.a", b"")]),
        over("whiteout-of-directory", &[file(".wh.d", b"")]),
        over("whiteout-of-nothing", &[file(".wh.none", b"")]),
        over("whiteout-before-file", &[file(".wh.e", b""), file("e", b"new")]),
        over("whiteout-after-file", &[file("e", b"new"), file(".wh.e", b"")]),
        over("whiteout-before-directory", &[file(".wh.d", b""), entry("d/", b'5', b""), file("d/c", b"c")]),
        over("whiteout-before-entries", &[file(".wh.d", b""), file("d/c", b"c")]),
        over("whiteout-twice", &[file(".wh.e", b""), file(".wh.e", b"")]),
        over("whiteout-of-no-name", &[file("d/.wh.", b"")]),
        over("whiteout-of-dots", &[file("d/.wh...", b"")]),
        over("whiteout-aufs", &[file(".wh..wh.plnk", b"")]),
        over("whiteout-by-device", &[device("e", 0, 0)]),
        over("whiteout-below-file", &[file("e/.wh.x", b"")]),
        over("opaque-before", &[opaque.clone(), file("d/c", b"c")]),
        over("opaque-after", &[file("d/c", b"c"), opaque.clone()]),
        over("opaque-of-root", &[file(".wh..wh..opq", b""), file("c", b"c")]),
        over("opaque-of-nothing", &[file("n/.wh..wh..opq", b"")]),
        odd("opaque-in-one-layer", &[&[file("d/a", b"a"), opaque.clone(), file("d/b", b"b")]]),
        odd(
            "opaque-often-in-one-layer",
            &[&[
                [file("d/own", b"a"), file("d/implied/f", b"b")].to_vec(),
                vec![opaque.clone(); 300],
                vec![file("d/implied/g", b"c"), file("e/f", b"d")],
            ]
            .concat()],
        ),
        odd("whiteout-in-one-layer", &[&[file("a", b"a"), file("b", b"b"), file(".wh.a", b"")]]),
        odd("whiteout-of-own-directory", &[&[entry("d/", b'5', b""), file(".wh.d", b"")]]),
        odd("three-layers", &[&lower, &[file(".wh.d", b"")], &[file("d/c", b"c"), file("e", b"3")]]),
        over("file-over-directory", &[file("d", b"file")]),
        over("directory-over-file", &[entry("e/", b'5', b""), file("e/f", b"f")]),
    ]
}

fn names() -> Vec<Odd> {
    let long = format!("{}f", "d/".repeat(150));
    let longest = "n".repeat(255);
    let too_long = "n".repeat(256);
    let deep = format!("{}f", "d/".repeat(400));
    vec![
        odd("dot-slash", &[&[entry("./", b'5', b""), file("./f", b"abc")]]),
        odd("absolute", &[&[file("/f", b"abc")]]),
        odd("dots-inside", &[&[file("a/../f", b"abc")]]),
        odd("dots-above", &[&[file("../../f", b"abc")]]),
        odd("slashes", &[&[file("a//b///f", b"abc")]]),
        odd("trailing-slash", &[&[entry("f/", b'0', b"abc")]]),
        odd("no-name", &[&[file("", b"abc"), file("f", b"abc")]]),
        odd("gnu-long-name", &[&[entry("././@LongLink", b'L', long.as_bytes()), file("short", b"abc")]]),
        odd("gnu-long-link", &[&[entry("././@LongLink", b'K', long.as_bytes()), link("l", b'2', "short")]]),
        odd("pax-name", &[&[pax(&[("path", &long)]), file("short", b"abc")]]),
        odd(
            "gnu-over-pax-name",
            &[&[pax(&[("path", "pax")]), entry("././@LongLink", b'L', b"gnu\0"), file("short", b"abc")]],
        ),
        odd("longest-name", &[&[pax(&[("path", &longest)]), file("short", b"abc")]]),
        odd("too-long-name", &[&[pax(&[("path", &too_long)]), file("short", b"abc")]]),
        odd("deep", &[&[pax(&[("path", &deep)]), file("short", b"abc")]]),
        odd(
            "control-characters",
            &[&[pax(&[("path", "a\n  digest     sha256:\u{1b}[2J")]), file("s", b"abc")]],
        ),
    ]
}

fn compressions() -> Vec<Odd> {
    // Each tar is another: what containerd has unpacked once it does not unpack again.
    let layer = |name: &'static str, media_type: &str, blob: fn(&[u8]) -> Vec<u8>| {
        let tar = archive(&[file("f", name.as_bytes()), file("g", &[b'g'; 5000])]);
        let layer = RawLayer { media_type: media_type.to_owned(), blob: blob(&tar), tar };
        Odd { name, layers: vec![layer] }
    };
    let (gzip_type, zstd_type) = (format!("{OCI}+gzip"), format!("{OCI}+zstd"));
    let docker = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    vec![
        layer("gzip", &gzip_type, gzip),
        layer("gzip-members", &gzip_type, |tar| [gzip(&tar[..1500]), gzip(&tar[1500..])].concat()),
        layer("gzip-trailing-zeros", &gzip_type, |tar| [gzip(tar), vec![0; 512]].concat()),
        layer("gzip-trailing-garbage", &gzip_type, |tar| [gzip(tar), b"garbage".to_vec()].concat()),
        layer("gzip-cut-off", &gzip_type, |tar| gzip(tar)[..60].to_vec()),
        layer("gzip-called-tar", OCI, gzip),
        layer("tar-called-gzip", &gzip_type, <[u8]>::to_vec),
        layer("zstd-called-gzip", &gzip_type, zstd),
        layer("gzip-of-docker", docker, gzip),
        layer("zstd", &zstd_type, zstd),
        layer("zstd-frames", &zstd_type, |tar| [zstd(&tar[..1500]), zstd(&tar[1500..])].concat()),
        layer("zstd-skippable-first", &zstd_type, |tar| [skippable(), zstd(tar)].concat()),
        layer("zstd-chunked", &zstd_type, |tar| {
            [zstd(&tar[..1500]), zstd(&tar[1500..]), skippable()].concat()
        }),
        layer("zstd-trailing-garbage", &zstd_type, |tar| [zstd(tar), b"garbage".to_vec()].concat()),
    ]
}

/// A frame of zstd that readers skip; the index of zstd:chunked is in one.
fn skippable() -> Vec<u8> {
    [&0x184d_2a50_u32.to_le_bytes()[..], &8_u32.to_le_bytes(), b"skipped!"].concat()
}

fn plain(tar: &[u8]) -> RawLayer {
    RawLayer { media_type: OCI.to_owned(), blob: tar.to_vec(), tar: tar.to_vec() }
}

fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [parts.concat(), vec![0; 1024]].concat()
}

fn header(name: &str, flag: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..name.len()].copy_from_slice(name.as_bytes());
    block[100..107].copy_from_slice(b"0000644");
    block[108..115].copy_from_slice(b"0000000");
    block[116..123].copy_from_slice(b"0000000");
    block[124..135].copy_from_slice(format!("{size:011o}").as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    sum(block, false)
}

fn gnu(mut block: Vec<u8>) -> Vec<u8> {
    block[257..265].copy_from_slice(b"ustar  \0");
    block
}

fn sum(mut block: Vec<u8>, signed: bool) -> Vec<u8> {
    block[148..156].fill(b' ');
    let sum: i64 =
        block.iter().map(|byte| if signed { i64::from(byte.cast_signed()) } else { i64::from(*byte) }).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn padded(header: Vec<u8>, content: &[u8]) -> Vec<u8> {
    let mut bytes = [header, content.to_vec()].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn entry(name: &str, flag: u8, content: &[u8]) -> Vec<u8> {
    padded(header(name, flag, content.len()), content)
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name, b'0', content)
}

fn link(name: &str, flag: u8, target: &str) -> Vec<u8> {
    let mut block = header(name, flag, 0);
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    sum(block, false)
}

fn device(name: &str, major: u32, minor: u32) -> Vec<u8> {
    let mut block = header(name, b'3', 0);
    block[329..336].copy_from_slice(format!("{major:07o}").as_bytes());
    block[337..344].copy_from_slice(format!("{minor:07o}").as_bytes());
    sum(block, false)
}

fn pax(list: &[(&str, &str)]) -> Vec<u8> {
    entry("pax", b'x', &records(list))
}

fn records(list: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let line = |length: usize| format!("{length} {key}={value}\n");
        (1..1 << 20).map(line).enumerate().find(|(at, line)| line.len() == at + 1).expect("a length fits").1
    };
    list.iter().map(record).collect::<String>().into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("memory can be written")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).expect("memory can be written")
}
