//! What `pack` makes of build directories and of archives of them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::io::Write;

use common::Bench;
use common::elf::Elf;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchiveWriter};
use serde_json::Value;

const BUILD_INFO: &str = "cmake:\n  application:\n    source-dir: '/home/me/samples/blinky'\n  board:\n    name: \
                          'qemu_cortex_a53'\n    qualifiers: 'qemu_cortex_a53'\n    revision: ''\n  zephyr:\n    \
                          version: '4.1.0'\nversion: '0.1.0'\n";
const ZEPHYR_CONFIG: &str = "CONFIG_BOARD=\"qemu_cortex_a53\"\nCONFIG_SHELL=y\nCONFIG_SHELL_BACKEND_SERIAL=y\n\
                             CONFIG_SHELL_PROMPT_UART=\"uart:~$ \"\n";
const ONE_UART: &str =
    "/ {\n\tchosen {\n\t\tzephyr,console = &uart0;\n\t\tzephyr,shell-uart = &uart0;\n\t};\n};\n";
const TWO_UARTS: &str =
    "/ {\n\tchosen {\n\t\tzephyr,console = &uart0;\n\t\tzephyr,shell-uart = &uart1;\n\t};\n};\n";

/// The files of a build of Zephyr, below a folder (empty, or with a slash at its end).
fn zephyr(folder: &str, devices: &str) -> Vec<(String, Vec<u8>)> {
    [
        ("build_info.yml", BUILD_INFO.into()),
        ("zephyr/.config", ZEPHYR_CONFIG.into()),
        ("zephyr/zephyr.dts", devices.into()),
        ("zephyr/zephyr.elf", Elf::aarch64(2000).to_bytes()),
        ("zephyr/zephyr_pre0.elf", b"not this one".to_vec()),
    ]
    .map(|(name, content)| (format!("{folder}{name}"), content))
    .to_vec()
}

fn write(bench: &Bench, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        fs::create_dir_all(bench.path(name).parent().unwrap()).unwrap();
        bench.write(name, content);
    }
}

/// An archive of files, deflated.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut archive = ZipArchiveWriter::new(&mut out);
    for (name, content) in files {
        let file = archive.new_file(name).compression_method(CompressionMethod::DEFLATE);
        let (mut entry, config) = file.start().unwrap();
        let mut writer = config.wrap(DeflateEncoder::new(&mut entry, flate2::Compression::default()));
        writer.write_all(content).unwrap();
        let (encoder, descriptor) = writer.finish().unwrap();
        encoder.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    archive.finish().unwrap();
    out
}

/// Packs and inspects; gives the report and what was told.
fn packed(bench: &Bench, args: &[&str]) -> (Value, String) {
    let ran = bench.run(["pack", "-o", "out.tar"].iter().chain(args));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    (bench.inspect("out.tar")["images"][0].clone(), ran.stderr)
}

fn refused(bench: &Bench, args: &[&str]) -> String {
    let ran = bench.run(["pack", "-o", "out.tar"].iter().chain(args));
    assert_eq!(ran.status, 3, "{}", ran.stderr);
    ran.stderr
}

fn setting<'a>(image: &'a Value, key: &str) -> &'a str {
    let rows = image["settings"].as_array().unwrap();
    rows.iter().find(|row| row["key"] == key).unwrap()["value"].as_str().unwrap()
}

fn conf(bench: &Bench) -> String {
    let layout = bench.untar("out.tar", "layout");
    let blobs = fs::read_dir(layout.join("blobs/sha256")).unwrap();
    let layers =
        blobs.map(|it| fs::read(it.unwrap().path()).unwrap()).filter(|it| it.starts_with(&[0x1f, 0x8b]));
    let mut text = String::new();
    for layer in layers {
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(layer.as_slice()));
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.path().unwrap().to_str() == Some("client.conf") {
                std::io::Read::read_to_string(&mut entry, &mut text).unwrap();
            }
        }
    }
    fs::remove_dir_all(layout).unwrap();
    text
}

/// `build/`, `build/zephyr`, an archive of either and one with a folder around it: the same firmware.
#[test]
fn a_zephyr_build_says_what_it_is() {
    let bench = Bench::new();
    write(&bench, &zephyr("build/", ONE_UART));
    bench.write("build.zip", zip(&zephyr("", ONE_UART)));
    bench.write("folder.zip", zip(&zephyr("build/", ONE_UART)));
    for path in ["build", "build.zip", "folder.zip"] {
        let (image, told) = packed(&bench, &[path]);
        assert_eq!(setting(&image, "container.os"), "zephyr");
        assert_eq!(setting(&image, "container.shell_prompt"), "uart:~$");
        assert_eq!(setting(&image, "Qemu.Machine"), "virt,secure=on,gic-version=3", "that of the board");
        assert_eq!(image["name"], "docker.io/library/blinky:latest", "named after the application");
        assert_eq!(image["labels"]["org.opencontainers.image.version"], "4.1.0");
        assert_eq!(image["labels"]["org.openeuler.micrun.image.board"], "qemu_cortex_a53");
        assert_eq!(image["warnings"], serde_json::json!([]));
        let sentence =
            "the build is of zephyr 4.1.0 for the board qemu_cortex_a53, console uart0, shell prompt";
        assert!(told.contains(sentence), "{told}");
        assert!(conf(&bench).contains("Consoles = 1\n"), "the shell is on the console");
    }
    write(&bench, &zephyr("build/", TWO_UARTS));
    let (image, _) = packed(&bench, &["build/zephyr"]);
    assert_eq!(setting(&image, "container.os"), "zephyr");
    assert!(!conf(&bench).contains("Consoles"), "the shell has a port of its own");
}

#[test]
fn what_the_user_says_wins() {
    let bench = Bench::new();
    write(&bench, &zephyr("build/", ONE_UART));
    bench.write(
        "my.conf",
        "[Mica]\nName = mine\n[Qemu]\nConsoles = 2\n[Micrun]\ncontainer.shell_prompt = mine>\n",
    );
    let annotation = "org.openeuler.micrun.container.shell_prompt=your>";
    let (image, _) =
        packed(&bench, &["build", "--os", "freertos", "--annotation", annotation, "-t", "other:1"]);
    assert_eq!(setting(&image, "container.os"), "freertos");
    assert_eq!(setting(&image, "container.shell_prompt"), "your>");
    assert_eq!(image["name"], "docker.io/library/other:1");
    let (image, _) = packed(&bench, &["build", "--client-conf", "my.conf", "--pedestal", "qemu"]);
    assert_eq!(setting(&image, "container.shell_prompt"), "mine>");
    assert!(conf(&bench).contains("Consoles = 2\n"));
}

#[test]
fn a_build_of_several_images_is_its_main_one() {
    let bench = Bench::new();
    write(&bench, &zephyr("build/app/", ONE_UART));
    write(&bench, &zephyr("build/mcuboot/", ONE_UART));
    bench.write("build/domains.yaml", "default: app\nbuild_dir: /home/me/build\ndomains:\n  - name: app\n");
    let (_, told) = packed(&bench, &["build"]);
    assert!(told.contains("zephyr 4.1.0"), "{told}");
}

#[test]
fn nuttx_rt_thread_and_uniproton_are_known_too() {
    let bench = Bench::new();
    let elf = Elf::aarch64(2000).to_bytes();
    let file = |name: &str, content: &str| (name.to_owned(), content.as_bytes().to_vec());
    let nuttx =
        "CONFIG_ARCH_BOARD=\"qemu-armv8a\"\nCONFIG_NSH_LIBRARY=y\nCONFIG_NSH_PROMPT_STRING=\"nsh> \"\n";
    write(
        &bench,
        &[
            ("nuttx/nuttx".to_owned(), elf.clone()),
            file("nuttx/.config", nuttx),
            file("nuttx/.version", "#!/bin/bash\n\nCONFIG_VERSION_STRING=\"12.9.0\"\n"),
            ("qemu-virt64-aarch64/rtthread.elf".to_owned(), elf.clone()),
            file(
                "qemu-virt64-aarch64/rtconfig.h",
                "#define RT_VER_NUM 0x50200\n#define RT_USING_FINSH\n#define RT_CONSOLE_DEVICE_NAME \"uart0\"\n",
            ),
            ("raspi4/build/raspi4.elf".to_owned(), elf.clone()),
            file("raspi4/config/prt_buildef.h", "#define OS_CPU_TYPE OS_RASPI4\n#define LOSCFG_SHELL\n"),
            ("virt/build/out/shell.elf".to_owned(), elf),
            file("virt/include/prt_buildef.h", "#define OS_CPU_TYPE OS_RV64_VIRT\n#define LOSCFG_SHELL\n"),
        ],
    );
    for (directory, os, sentence, prompt) in [
        ("nuttx", "nuttx", "the build is of nuttx 12.9.0 for the board qemu-armv8a", "nsh>"),
        (
            "qemu-virt64-aarch64",
            "rt-thread",
            "rt-thread 5.2.0 for the board qemu-virt64-aarch64, console uart0",
            "msh >",
        ),
        ("raspi4", "uniproton", "the build is of uniproton for the board raspi4", "openEuler UniProton #"),
        ("virt", "uniproton", "the build is of uniproton for the board rv64_virt", "openEuler UniProton #"),
    ] {
        let (image, told) = packed(&bench, &[directory]);
        assert!(told.contains(sentence), "{told}");
        assert_eq!(setting(&image, "container.os"), os);
        assert_eq!(setting(&image, "container.shell_prompt"), prompt);
    }
    bench.write(
        "esp.zip",
        zip(&[file("project_description.json", r#"{"target":"esp32","idf_path":"/idf"}"#)]),
    );
    let told = refused(&bench, &["esp.zip"]);
    assert!(told.contains("ESP-IDF") && told.contains("Xtensa"), "{told}");
}

#[test]
fn without_a_known_build_there_is_one_elf_or_none() {
    let bench = Bench::new();
    let elf = |name: &str| (name.to_owned(), Elf::aarch64(2000).to_bytes());
    write(
        &bench,
        &[elf("one/fw.elf"), elf("two/a.elf"), elf("two/b.elf"), ("none/fw.map".to_owned(), Vec::new())],
    );
    bench.write("one.zip", zip(&[elf("deep/below/FW.ELF"), ("deep/read.me".to_owned(), b"x".to_vec())]));
    packed(&bench, &["one"]);
    packed(&bench, &["one.zip"]);
    assert!(refused(&bench, &["two"]).contains("\"a.elf\", \"b.elf\""));
    assert!(refused(&bench, &["none"]).contains("no *.elf"));
    let ran = bench.run(["pack", "one", "--arch", "aarch64"]);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
}

/// The offset in an archive of the entry's record in the central directory.
fn central(archive: &[u8]) -> usize {
    archive.windows(4).rposition(|window| window == b"PK\x01\x02").unwrap()
}

#[test]
fn an_archive_gives_no_more_than_it_says_and_says_no_more_than_allowed() {
    let bench = Bench::new();
    let good = zip(&[("fw.elf".to_owned(), Elf::aarch64(20_000).to_bytes())]);
    let change = |at: usize, bytes: &[u8]| {
        let mut bad = good.clone();
        let at = central(&bad) + at;
        bad[at..at + bytes.len()].copy_from_slice(bytes);
        bench.write("bad.zip", bad);
        refused(&bench, &["bad.zip"])
    };
    // Offsets of the central directory: PKWARE's APPNOTE, 4.3.12.
    assert!(change(24, &100_u32.to_le_bytes()).contains("fw.elf"), "more bytes than it says");
    assert!(change(24, &0x4000_0000_u32.to_le_bytes()).contains("more than the 268435456"));
    assert!(change(16, &[0; 4]).contains("fw.elf"), "another checksum");
    assert!(change(8, &[1]).contains("encrypted"));
    assert!(change(10, &[14]).contains("method 14"));
    bench.write("cut.zip", &good[..good.len() - 30]);
    assert!(refused(&bench, &["cut.zip"]).contains("zip archive is damaged"));
    let twice = [("fw.elf".to_owned(), vec![1]), ("./fw.elf".to_owned(), vec![2])];
    bench.write("twice.zip", zip(&twice));
    assert!(refused(&bench, &["twice.zip"]).contains("twice"));
}
