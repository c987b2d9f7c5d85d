//! `micrun.yaml`: packing from it, its errors, its schema, and `init`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::elf::Elf;
use common::{Bench, json};

/// A page of the documentation.
fn page(name: &str) -> String {
    fs::read_to_string(format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The first example of the page in this language.
fn example(language: &str) -> String {
    let text = page("MICRUN_YAML.md");
    let (_, from) = text.split_once(&format!("```{language}\n")).unwrap();
    from.split("```").next().unwrap().to_owned()
}

fn bench() -> Bench {
    Bench::with_firmware(&Elf::aarch64(20_000).to_bytes())
}

/// A file with one image, of which these are further lines.
fn one(lines: &str) -> String {
    format!("version: 1\nimages:\n  - tag: demo:1\n    firmware: fw.elf\n{lines}")
}

/// A file with one image of these boards.
fn boards(lines: &str) -> String {
    format!("version: 1\nimages:\n  - tag: demo:1\n    boards:\n{lines}")
}

#[test]
fn the_example_of_the_documentation_packs_what_the_options_pack() {
    let bench = bench();
    fs::create_dir(bench.path("build")).unwrap();
    for name in ["build/demo.elf", "build/worker.elf"] {
        bench.write(name, Elf::aarch64(9_000).to_bytes());
    }
    bench.write("build/table.bin", "1 2 3");
    bench.write("micrun.yaml", example("yaml"));
    let ran = bench.run(["pack"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let digests: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(digests.len(), 2, "{}", ran.stdout);
    let by_options = bench.run([
        "pack",
        "build/demo.elf",
        "--tag=registry.example.org/line/demo:1.4",
        "--os=freertos",
        "--memory=64",
        "--qemu=Consoles=1",
        "--label=org.opencontainers.image.vendor=Example",
        "--annotation=org.openeuler.micrun.container.auto_close_timeout=90",
        "--add=build/table.bin=/etc/table.bin",
        "--platform=linux/arm64",
        "--compression=zstd",
        "--output=other",
    ]);
    assert_eq!(by_options.stdout.trim_end(), digests[0], "{}", by_options.stderr);
    assert_eq!(json(bench.path("images/index.json"))["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn the_command_line_wins_over_the_file() {
    let bench = bench();
    bench.write("micrun.yaml", one("    os: zephyr\n    labels: {a: b, c: d}\n    output: from-file\n"));
    let ran = bench.run(["pack", "--os", "freertos", "--label", "a=x", "-o", "out.tar", "-q"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let image = &bench.inspect("out.tar")["images"][0];
    assert_eq!(image["labels"]["org.openeuler.micrun.container.os"], "freertos");
    assert_eq!((&image["labels"]["a"], &image["labels"]["c"]), (&"x".into(), &"d".into()));
    assert!(!bench.path("from-file").exists());
}

#[test]
fn paths_start_at_the_files_directory_and_one_image_can_be_chosen() {
    let bench = bench();
    fs::create_dir(bench.path("sub")).unwrap();
    bench.write("sub/fw.elf", bench.read("fw.elf"));
    let second = "  - {tag: other, firmware: missing.elf}\n";
    bench.write("sub/images.yml", one("    output: out.tar\n") + second);
    let ran = bench.run(["pack", "-f", "sub/images.yml", "--only", "demo:1"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(bench.path("sub/out.tar").exists());
    let ran = bench.run(["pack", "-f", "sub/images.yml", "--only", "nosuch"]);
    assert!(ran.status == 2 && ran.stderr.contains("it has demo:1, other"), "{ran:?}");
    // The image that fails is named by its line; the status is its own.
    let ran = bench.run(["pack", "-f", "sub/images.yml", "--only", "other"]);
    assert!(ran.status == 1 && ran.stderr.contains("sub/images.yml:6: this image was not packed"), "{ran:?}");
    // One name or one archive cannot be that of several.
    for option in ["--tag=a", "--name=a", "--output=a.tar"] {
        let ran = bench.run(["pack", "-f", "sub/images.yml", option]);
        assert!(ran.status == 2 && ran.stderr.contains("choose one with --only"), "{ran:?}");
    }
}

/// The digest goes elsewhere, whoever says that the archive goes to the standard output.
#[test]
fn an_archive_has_the_standard_output_to_itself() {
    let bench = bench();
    bench.write("micrun.yaml", one("    output: '-'\n"));
    let output = bench.command(["pack", "-q"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.starts_with("sha256:"), "{said}");
    assert!(output.stdout.ends_with(b"\0"), "the archive's end is followed by something");
}

/// Each mistake is told with file, line and column.
#[test]
fn a_mistake_has_a_place() {
    let bench = bench();
    let cases = [
        (one("    board-name: imx8mp\n"), "micrun.yaml:5:5: ", "board-name"),
        (one("    boards: imx8mp\n"), "micrun.yaml:5:13: ", ""),
        (one("    boards: {qemu: {firmware: fw.elf}}\n"), "micrun.yaml:3:5: ", "move it to its board"),
        (boards("      ../up: {firmware: fw.elf}\n"), "micrun.yaml:5:7: ", "../up"),
        (boards("      qemu: {firmware: fw.elf, tag: a}\n"), "micrun.yaml:5:32: ", "tag"),
        (boards("      qemu: {os: zephyr}\n"), "micrun.yaml:5:", "firmware"),
        (one("    files: [{file: fw.elf, path: ../fw}]\n"), "micrun.yaml:5:34: ", "path of the image"),
        (one("    files: [{file: fw.elf, path: a, mode: 4755}]\n"), "micrun.yaml:5:43: ", "0777"),
        (one("    pedestal: quemu\n"), "micrun.yaml:5:15: ", "quemu"),
        (one("    memory: 0\n"), "micrun.yaml:5:13: ", "1 or more"),
        (one("    memory: lots\n"), "micrun.yaml:5:13: ", ""),
        (one("    platforms: [linux/arm64, linux/amd65]\n"), "micrun.yaml:5:30: ", "amd65"),
        (one("    os: zephyr\n    os: nuttx\n"), "micrun.yaml:6:5: ", "duplicate"),
        (one("    compression: lzma\n"), "micrun.yaml:5:18: ", "lzma"),
        (one("").replace("version: 1", "version: 2"), "micrun.yaml:1:10: ", "version 2"),
        (one("").replace("    firmware: fw.elf\n", ""), "micrun.yaml:3:5: ", "firmware"),
        ("version: 1\nimages: []\n".to_owned(), "micrun.yaml:1: ", "no image"),
        (one("") + "  - {tag: 'demo:1', firmware: fw.elf}\n", "micrun.yaml:5: ", "line 3"),
        (one("    labels: {a: [\n"), "micrun.yaml:", ""),
        // Aliases of aliases: what would be gigabytes is refused.
        (one(&bomb()), "micrun.yaml:", ""),
    ];
    for (text, place, word) in cases {
        bench.write("micrun.yaml", &text);
        let ran = bench.run(["pack"]);
        assert_eq!(ran.status, 2, "{text}: {ran:?}");
        let first = ran.stderr.lines().next().unwrap();
        assert!(first.starts_with(&format!("error: {place}")) && first.contains(word), "{text}: {first}");
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
        assert_eq!(bench.files(), ["fw.elf", "micrun.yaml"]);
    }
    fs::remove_file(bench.path("micrun.yaml")).unwrap();
    let ran = bench.run(["pack"]);
    assert!(ran.status == 1 && ran.stderr.contains("micrun.yaml"), "{ran:?}");
}

/// Labels that are a list of nine lists of nine lists and so on.
fn bomb() -> String {
    let mut text = "    labels:\n      a0: &a0 x\n".to_owned();
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        text.extend([format!("      a{level}: &a{level} [{below}]\n")]);
    }
    text
}

/// The keys of the schema are those that the program reads.
#[test]
fn the_schema_says_what_is_read() {
    let schema: serde_json::Value = serde_json::from_str(&page("micrun.schema.json")).unwrap();
    let image = &schema["$defs"]["image"];
    let keys: BTreeSet<_> = image["properties"].as_object().unwrap().keys().cloned().collect();
    let bench = bench();
    bench.write("micrun.yaml", one("    nosuch: 1\n"));
    let said = bench.run(["pack"]).stderr;
    let (_, list) = said.trim_end().split_once("expected one of ").unwrap();
    let read: BTreeSet<_> = list.split(", ").map(str::to_owned).collect();
    assert_eq!(keys, read, "the program says: {said}");
    let table = page("MICRUN_YAML.md");
    assert!(
        keys.iter().all(|key| table.contains(&format!("| `{key}` |"))),
        "MICRUN_YAML.md has a row for each"
    );
    let keys: BTreeSet<_> =
        schema["$defs"]["board"]["properties"].as_object().unwrap().keys().cloned().collect();
    bench.write("micrun.yaml", boards("      qemu: {nosuch: 1}\n"));
    let said = bench.run(["pack"]).stderr;
    let (_, list) = said.trim_end().split_once("expected one of ").unwrap();
    assert_eq!(keys, list.split(", ").map(str::to_owned).collect(), "the program says: {said}");
    // Each word of an enumeration is one that is read, and the error for another names all of them.
    for key in ["pedestal", "arch", "compression"] {
        bench.write("micrun.yaml", one(&format!("    {key}: nosuch\n")));
        let said = bench.run(["pack"]).stderr;
        let words = image["properties"][key]["enum"].as_array().unwrap();
        assert!(words.iter().all(|word| said.contains(word.as_str().unwrap())), "{key}: {said}");
    }
}

#[test]
fn init_writes_what_pack_reads() {
    let bench = bench();
    let ran = bench.run(["init", "fw.elf"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "micrun.yaml\n"), "{}", ran.stderr);
    assert_eq!(bench.run(["pack", "-q"]).stdout.trim_end(), bench.pack(&["-t", "fw", "-o", "other.tar"]));
    // It is the user's by now.
    bench.write("micrun.yaml", "mine");
    let ran = bench.run(["init", "fw.elf"]);
    assert!(ran.status == 2 && ran.stderr.contains("--force"), "{ran:?}");
    assert_eq!(bench.read("micrun.yaml"), b"mine");
    let ran = bench.run(["init", "fw.elf", "--force", "--json", "-t", "a/b:2"]);
    assert_eq!((ran.status, ran.stdout.contains(r#""file": "micrun.yaml""#)), (0, true), "{ran:?}");
    assert!(String::from_utf8(bench.read("micrun.yaml")).unwrap().contains("tag: \"a/b:2\""));
}

/// What a Zephyr build says becomes keys of the file; a name that YAML could misread is quoted.
#[test]
fn init_reads_a_build_directory() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("no: build/zephyr")).unwrap();
    bench.write("no: build/zephyr/zephyr.elf", Elf::aarch64(9_000).to_bytes());
    bench.write("no: build/zephyr/.config", "CONFIG_BOARD=\"qemu_cortex_a53\"\n");
    let ran = bench.run(["init", "no: build", "-t", "1e3"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let text = String::from_utf8(bench.read("micrun.yaml")).unwrap();
    assert!(text.contains("    os: zephyr\n    board: qemu_cortex_a53\n"), "{text}");
    let ran = bench.run(["pack", "-o", "out"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
}
