//! What `pack` takes besides a plain ELF. Debian's binutils make the files and read the results.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use common::Bench;
use common::elf::Elf;

/// Where the firmware of these tests is linked.
const BASE: u64 = 0x4000_0000;
/// A client.conf for a board with a Cortex-M4 and flash at 0x08000000.
const BOARD: &str = "[Mica]\nName = fw\nPedestal = qemu\n[Qemu]\nMachine = netduinoplus2\n";

/// A raw binary, and the Intel HEX that objcopy makes of it.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("fw.bin", Elf::aarch64(20_000).content);
    run(
        "objcopy",
        &["-I", "binary", "-O", "ihex", "--change-addresses", "0x40000000", "fw.bin", "fw.hex"],
        &bench,
    );
    bench
}

fn run(program: &str, args: &[&str], bench: &Bench) -> String {
    let output = Command::new(program).args(args).current_dir(bench.path("")).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn pack(bench: &Bench, args: &[&str]) -> common::Ran {
    bench.run(["pack"].iter().chain(args))
}

/// Packs, and gives what the user was told.
fn packed(bench: &Bench, args: &[&str]) -> String {
    let ran = pack(bench, args);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.stderr
}

/// The firmware in an archive, taken out by tar.
fn firmware(bench: &Bench, archive: &str) -> PathBuf {
    let layout = bench.untar(archive, &format!("{archive}.layout"));
    let root = bench.path(&format!("{archive}.root"));
    fs::create_dir(&root).unwrap();
    for blob in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let blob = blob.unwrap().path();
        if fs::read(&blob).unwrap().starts_with(&[0x1f, 0x8b]) {
            let status = Command::new("tar").arg("-xzf").arg(blob).arg("-C").arg(&root).status().unwrap();
            assert!(status.success());
        }
    }
    root.join("firmware.elf")
}

#[test]
fn hex_and_a_raw_binary_become_the_same_memory() {
    let bench = bench();
    let told = packed(&bench, &["fw.hex", "--arch", "aarch64", "-o", "hex.tar"]);
    assert!(told.contains("an ELF was made of the file (intel-hex)"), "{told}");
    packed(&bench, &["fw.bin", "--arch", "aarch64", "--load-address", "0x40000000", "-o", "bin.tar"]);
    for (archive, format, source) in [("hex.tar", "intel-hex", "fw.hex"), ("bin.tar", "binary", "fw.bin")] {
        let report = bench.inspect(archive);
        let firmware_line = &report["images"][0]["firmware"];
        let sum = run("sha256sum", &[source], &bench);
        let digest = sum.split(' ').next().unwrap();
        assert_eq!(firmware_line["made_from"], format!("{format} sha256:{digest}"));
        assert_eq!(firmware_line["elf"]["entry"], "0x40000000");
        assert_eq!(firmware_line["elf"]["machine"], "aarch64");
        let elf = firmware(&bench, archive);
        let header = run("readelf", &["-hlSnW", elf.to_str().unwrap()], &bench);
        for part in ["EXEC", "AArch64", "0x40000000", ".note.micrun.origin", "micrun"] {
            assert!(header.contains(part), "{part} in\n{header}");
        }
        let (elf, content) = (fs::read(elf).unwrap(), bench.read("fw.bin"));
        assert!(
            elf.windows(content.len()).any(|window| window == content),
            "the bytes are those of the file"
        );
    }
}

#[test]
fn the_same_file_gives_the_same_image() {
    let (one, two) = (bench(), bench());
    let args = ["fw.hex", "--arch", "aarch64"];
    packed(&one, &args);
    packed(&two, &args);
    assert_eq!(one.read("fw.tar"), two.read("fw.tar"));
}

#[test]
fn what_a_format_does_not_say_is_asked_for() {
    let bench = bench();
    bench.write("fw.elf", Elf::aarch64(64).to_bytes());
    let cases: [(&[&str], i32, &str); 9] = [
        (&["fw.hex"], 3, "--arch"),
        (&["fw.bin", "--load-address", "0xfffff000", "--arch", "arm"], 3, "above 4 GiB"),
        (&["fw.bin"], 3, "--load-address"),
        (&["fw.bin", "--load-address", "0x40000000"], 3, "--arch"),
        (&["fw.hex", "--arch", "aarch64", "--load-address", "0"], 2, "Intel HEX has addresses"),
        (&["fw.elf", "--load-address", "0x40000000"], 2, "an ELF has addresses"),
        (&["fw.elf", "--arch", "aarch64"], 2, "an ELF says it itself"),
        (&["fw.elf", "--entry", "0x40000000"], 2, "an ELF says it itself"),
        (&["fw.bin", "--load-address", "here"], 2, "0x40100000"),
    ];
    for (args, status, says) in cases {
        let ran = pack(&bench, args);
        assert_eq!(ran.status, status, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{args:?}: {}", ran.stderr);
    }
}

#[test]
fn an_entry_that_is_given_wins() {
    let bench = bench();
    let args = ["fw.bin", "--arch", "aarch64", "--load-address", "0x40000000", "--entry", "0x40000010"];
    packed(&bench, &args);
    assert_eq!(bench.inspect("fw.tar")["images"][0]["firmware"]["elf"]["entry"], "0x40000010");
    let ran = pack(&bench, &[&args[..5], &["--entry", "0x10"]].concat());
    assert_eq!(ran.status, 3, "it is not in the firmware: {}", ran.stderr);
}

/// A UF2 file of one block that holds a vector table and two instructions.
fn uf2(family: u32, address: u32) -> Vec<u8> {
    let content: Vec<u8> =
        [0x2002_0000, address + 9, 0xe7fe_e7fe_u32].iter().flat_map(|word| word.to_le_bytes()).collect();
    let header = [0x0a32_4655, 0x9e5d_5157, 0x2000, address, 256, 0, 1, family];
    let mut block: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    block.extend(content);
    block.resize(508, 0);
    block.extend(0x0ab1_6f30_u32.to_le_bytes());
    block
}

#[test]
fn uf2_says_its_processor_by_its_family() {
    let bench = Bench::new();
    bench.write("board.conf", BOARD);
    bench.write("fw.uf2", uf2(0x5775_5a57, 0x0800_0000));
    packed(&bench, &["fw.uf2", "--client-conf", "board.conf"]);
    let report = bench.inspect("fw.tar");
    let elf = &report["images"][0]["firmware"]["elf"];
    assert_eq!((&elf["machine"], &elf["entry"]), (&"arm".into(), &"0x8000009".into()));
    let file = firmware(&bench, "fw.tar");
    let attributes = run("readelf", &["-A", file.to_str().unwrap()], &bench);
    assert!(attributes.contains("Microcontroller"), "the profile is not lost: {attributes}");

    bench.write("fw.uf2", uf2(0x1c5f_21b0, 0x0800_0000));
    let ran = pack(&bench, &["fw.uf2", "--client-conf", "board.conf"]);
    assert!(
        ran.status == 3 && ran.stderr.contains("ESP32") && ran.stderr.contains("Xtensa"),
        "{}",
        ran.stderr
    );

    bench.write("fw.uf2", uf2(0x0123_4567, 0x0800_0000));
    let ran = pack(&bench, &["fw.uf2", "--client-conf", "board.conf"]);
    assert!(
        ran.status == 3 && ran.stderr.contains("0x01234567") && ran.stderr.contains("--arch"),
        "{}",
        ran.stderr
    );
    packed(&bench, &["fw.uf2", "--client-conf", "board.conf", "--arch", "cortex-m"]);
}

#[test]
fn a_vector_table_is_a_hint() {
    let bench = Bench::new();
    bench.write(
        "m.bin",
        [0x2002_0000_u32, 9, 0xe7fe_e7fe].iter().flat_map(|it| it.to_le_bytes()).collect::<Vec<_>>(),
    );
    let ran = pack(&bench, &["m.bin", "--load-address", "0"]);
    assert!(ran.status == 3 && ran.stderr.contains("like firmware for a cortex-m"), "{}", ran.stderr);
}

#[test]
fn damaged_files_are_refused_with_the_place() {
    let bench = bench();
    let text = String::from_utf8(bench.read("fw.hex")).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let again = [&lines[..3], &lines[2..]].concat().join("\n");
    let cases = [
        (again, "0x40000010 twice"),
        (text.replacen(":10001000", ":10001001", 1), "line 3"),
        (lines[..9].join("\n"), "cut off"),
        (format!("{text}{text}"), "several files"),
        (":00000001FF\n".to_owned(), "no data"),
    ];
    for (text, says) in cases {
        bench.write("bad.hex", &text);
        let ran = pack(&bench, &["bad.hex", "--arch", "aarch64"]);
        assert_eq!(ran.status, 3, "{says}: {}", ran.stderr);
        assert!(ran.stderr.contains(says), "{says}: {}", ran.stderr);
    }
}

/// An `ET_DYN` of one segment, whose dynamic section says what a linker's would.
fn static_pie(dynamic: &[(u64, u64)]) -> Vec<u8> {
    let entries: Vec<u8> = dynamic
        .iter()
        .chain(&[(0, 0)])
        .flat_map(|(tag, value)| [*tag, *value])
        .flat_map(u64::to_le_bytes)
        .collect();
    let (code, size) = (64 + 2 * 56_u64, entries.len() as u64);
    let mut out = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    out.extend([3_u16, 183].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(1_u32.to_le_bytes());
    out.extend([BASE, 64, 0].iter().flat_map(|v| v.to_le_bytes()));
    out.extend(0_u32.to_le_bytes());
    out.extend([64_u16, 56, 2, 64, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    for kind in [1_u32, 2] {
        out.extend([kind, 7].iter().flat_map(|v| v.to_le_bytes()));
        out.extend([code, BASE, BASE, size, size, 8].iter().flat_map(|v| v.to_le_bytes()));
    }
    out.extend(entries);
    out
}

#[test]
fn position_independent_firmware_runs_where_it_was_linked_or_not_at_all() {
    let bench = Bench::new();
    // DT_FLAGS_1 with DF_1_PIE, and an empty table.
    bench.write("fw.elf", static_pie(&[(0x6fff_fffb, 0x0800_0000), (8, 0)]));
    let told = packed(&bench, &["fw.elf"]);
    assert!(told.contains("ET_DYN"), "{told}");
    let elf = firmware(&bench, "fw.tar");
    assert!(run("readelf", &["-h", elf.to_str().unwrap()], &bench).contains("EXEC"));
    // A relative relocation adds nothing where the file was linked: DT_RELR has no others, DT_REL may have some. An entry
    // of DT_REL looks like one of the dynamic section, so the third one here is both.
    let rel = |kind: u64| vec![(17, BASE + 32), (18, 16), (21, kind)];
    for unneeded in [vec![(35, 24)], rel(1027)] {
        bench.write("fw.elf", static_pie(&unneeded));
        packed(&bench, &["fw.elf"]);
    }
    let sized = |tag| vec![(tag, 24)];
    for (entries, table) in
        [(sized(8), "DT_RELA"), (sized(18), "DT_REL"), (rel(1025), "DT_REL"), (sized(2), "DT_JMPREL")]
    {
        bench.write("fw.elf", static_pie(&entries));
        let ran = pack(&bench, &["fw.elf"]);
        assert_eq!(ran.status, 3);
        assert!(ran.stderr.contains(table) && ran.stderr.contains("-no-pie"), "{}", ran.stderr);
    }
}
