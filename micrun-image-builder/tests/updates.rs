//! `diff`, `flatten`, `records`, `unpack` and `verify` (`docs/UPDATES.md`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::elf::Elf;
use common::layout::{descriptor, edit_index, manifest, set_manifest};
use common::{Bench, Ran, blob, documented_statuses, json};
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const CONF: &[u8] = b"[Mica]\nName = demo\nClientPath = /firmware.elf\nPedestal = qemu\n";
const MESSAGE: &[u8] = b"another message";

/// `fw.elf`, `new.elf`, whose bytes 1000.. differ, and a layout `images` with `demo:1` made of the first one.
fn bench() -> Bench {
    let mut elf = Elf::aarch64(40_000);
    let bench = Bench::with_firmware(&elf.to_bytes());
    bench.pack(&["-t", "demo:1", "-o", "images", "--os", "freertos", "--updatable"]);
    elf.content[1000..1000 + MESSAGE.len()].copy_from_slice(MESSAGE);
    bench.write("new.elf", elf.to_bytes());
    bench
}

fn done(ran: Ran) -> String {
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    ran.stdout
}

fn report(bench: &Bench, args: &[&str]) -> Value {
    serde_json::from_str(&done(bench.run(args.iter().chain(&["--json"])))).unwrap()
}

/// What inspect says of an image of `images`.
fn inspected(bench: &Bench, image: &str) -> Value {
    report(bench, &["inspect", "images", "--image", image])["images"][0].clone()
}

/// An entry of a layer.
enum File<'a> {
    Regular(&'a [u8], u32),
    Link(&'a str),
    /// Another name.
    Hard(&'a str),
    Fifo,
    /// `/dev/null`.
    Device,
}

/// Makes a layout of an image whose layers have these files, as a tool does that knows nothing of records.
fn foreign(bench: &Bench, name: &str, layers: &[&[(&str, File<'_>)]]) -> PathBuf {
    bench.pack(&["-o", name, "-t", name, "--platform", "linux/arm64"]);
    let layout = bench.path(name);
    let (_, mut document) = manifest(&layout);
    let mut config = json(blob(&layout, document["config"]["digest"].as_str().unwrap()));
    let layers: Vec<_> = layers
        .iter()
        .map(|files| {
            let mut tar = Builder::new(Vec::new());
            for (path, file) in *files {
                let mut header = Header::new_gnu();
                let none = &b""[..];
                let (kind, mode, content) = match file {
                    File::Regular(content, mode) => (EntryType::Regular, *mode, *content),
                    File::Link(_) => (EntryType::Symlink, 0o777, none),
                    File::Hard(_) => (EntryType::Link, 0o640, none),
                    File::Fifo => (EntryType::Fifo, 0o600, none),
                    File::Device => (EntryType::Char, 0o666, none),
                };
                header.set_entry_type(kind);
                header.set_mode(mode);
                header.set_size(content.len() as u64);
                match file {
                    File::Link(target) | File::Hard(target) => {
                        tar.append_link(&mut header, path, target).unwrap();
                    }
                    File::Device => {
                        header.set_uid(1000);
                        header.set_device_major(1).unwrap();
                        header.set_device_minor(3).unwrap();
                        tar.append_data(&mut header, path, content).unwrap();
                    }
                    File::Regular(..) | File::Fifo => tar.append_data(&mut header, path, content).unwrap(),
                }
            }
            descriptor(&layout, LAYER, &tar.into_inner().unwrap())
        })
        .collect();
    config["rootfs"]["diff_ids"] = layers.iter().map(|it| it["digest"].clone()).collect();
    config["history"] = Value::Null;
    document["config"] = descriptor(&layout, CONFIG, config.to_string().as_bytes());
    document["layers"] = json!(layers);
    set_manifest(&layout, &document);
    layout
}

const fn regular(content: &[u8]) -> File<'_> {
    File::Regular(content, 0o644)
}

#[test]
fn each_verb_has_the_exit_statuses_that_are_documented() {
    let bench = bench();
    bench.pack(&["-t", "fw", "--os", "freertos"]);
    foreign(&bench, "refused", &[&[("client.conf", regular(CONF)), ("no\nrecord", regular(b"lists it"))]]);
    let incomplete = foreign(&bench, "incomplete", &[&[("client.conf", regular(CONF))]]);
    let (_, document) = manifest(&incomplete);
    fs::remove_file(blob(&incomplete, document["layers"][0]["digest"].as_str().unwrap())).unwrap();
    foreign(
        &bench,
        "doubtful",
        &[&[("client.conf", regular(CONF)), ("firmware.elf", regular(&bench.read("fw.elf")))]],
    );
    bench.pack(&["-o", "damaged"]);
    bench.write("damaged/index.json", "{");

    let mut seen = BTreeSet::new();
    for (status, image) in
        [(0, "fw.tar"), (1, "missing.tar"), (3, "refused"), (4, "damaged"), (6, "incomplete")]
    {
        let rebuild = if status == 3 { "records IMAGE --rebuild -t r" } else { "records IMAGE" };
        for words in
            ["diff IMAGE fw.tar", "verify IMAGE", rebuild, "flatten IMAGE -t flat", "unpack IMAGE out"]
        {
            let args: Vec<_> = words.split(' ').map(|it| if it == "IMAGE" { image } else { it }).collect();
            // What is in it may be anything.
            if (args[0], status) == ("unpack", 3) {
                continue;
            }
            let ran = bench.run(&args);
            assert_eq!(ran.status, status, "{args:?}: {ran:?}");
            assert_eq!(ran.stdout.is_empty(), status != 0, "{args:?}");
            seen.insert((args[0].to_owned(), status));
        }
    }
    for args in
        ["diff fw.tar --no", "verify", "records fw.tar --rebuild", "flatten fw.tar", "unpack fw.tar images"]
    {
        let args: Vec<_> = args.split(' ').collect();
        assert_eq!(bench.run(&args).status, 2, "{args:?}");
        seen.insert((args[0].to_owned(), 2));
    }
    assert_eq!(bench.run(["verify", "doubtful"]).status, 0);
    assert_eq!(bench.run(["verify", "doubtful", "--strict"]).status, 7);
    seen.insert(("verify".to_owned(), 7));
    assert_eq!(seen, documented_statuses("UPDATES.md"));
}

#[test]
fn the_update_is_what_the_first_image_does_not_have() {
    let bench = bench();
    let append =
        ["append", "images", "--image", "demo:1", "--firmware", "new.elf", "--delta", "-t", "demo:2"];
    done(bench.run(append));
    let diff = report(&bench, &["diff", "images", "--from", "demo:1", "--to", "demo:2"]);
    // The blobs of each in a layout of its own.
    let blobs = |image: &str, directory: &str| -> BTreeSet<(String, u64)> {
        let copied = ["append", "images", "--image", image, "-t", image, "-o", directory];
        done(bench.run(copied));
        let files = fs::read_dir(bench.path(directory).join("blobs/sha256")).unwrap().map(|it| it.unwrap());
        files.map(|it| (it.file_name().into_string().unwrap(), it.metadata().unwrap().len())).collect()
    };
    let (old, new) = (blobs("demo:1", "one"), blobs("demo:2", "two"));
    let fetched: Vec<_> = new.difference(&old).collect();
    assert_eq!(diff["update"]["blobs"], fetched.len());
    assert_eq!(diff["update"]["bytes"], fetched.iter().map(|it| it.1).sum::<u64>());
    assert_eq!(diff["update"]["whole"], new.iter().map(|it| it.1).sum::<u64>());
    let ranges = diff["firmwares"][0]["ranges"].as_array().unwrap();
    assert_eq!((&ranges[0]["paddr"], &ranges[0]["size"]), (&json!("0x400003e8"), &json!(MESSAGE.len())));
    assert_eq!(diff["conf"][0]["key"], "Micrun.container.firmware_hash");

    let same = report(&bench, &["diff", "images", "--from", "demo:2", "--to", "demo:2"]);
    assert_eq!((&same["update"]["blobs"], &same["firmwares"]), (&json!(0), &json!([])));
    for list in ["files", "conf", "settings", "labels", "annotations"] {
        assert_eq!(same[list], json!([]), "{list}");
    }
}

#[test]
fn a_flat_image_is_what_pack_makes_of_the_same_firmware() {
    let bench = bench();
    let append = |base: &str, firmware: &str, tag: &str, more: &[&str]| {
        let args = ["append", "images", "--image", base, "--firmware", firmware, "-t", tag];
        done(bench.run(args.iter().chain(more)));
    };
    append("demo:1", "new.elf", "demo:2", &[]);
    report(&bench, &["flatten", "images", "--image", "demo:2", "-t", "demo:flat"]);
    done(bench.run(["pack", "new.elf", "-t", "demo:new", "-o", "images", "--os", "freertos", "--updatable"]));
    let (flat, packed) = (inspected(&bench, "demo:flat"), inspected(&bench, "demo:new"));
    assert_eq!(flat["layers"], packed["layers"]);
    assert_eq!(flat["labels"], packed["labels"]);

    // A delta becomes the firmware that it gives.
    append("demo:1", "new.elf", "demo:3", &["--delta"]);
    let flatten = || report(&bench, &["flatten", "images", "--image", "demo:3", "-t", "demo:4"]);
    assert_eq!(flatten()["digest"], flatten()["digest"]);
    let flat = inspected(&bench, "demo:4");
    assert_eq!(flat["layers"].as_array().unwrap().len(), 1);
    assert_eq!(flat["firmware"]["sha256"], packed["firmware"]["sha256"]);
    let files = report(&bench, &["inspect", "images", "--image", "demo:4", "--files"]);
    assert!(!files.to_string().contains(".delta\""), "{files}");
    // Further ones can stand upon it.
    append("demo:4", "fw.elf", "demo:5", &["--delta"]);
}

/// A firmware for each of two boards, and their second paths.
#[test]
fn an_image_for_several_boards_is_flattened_and_compared() {
    let bench = bench();
    let yaml = |firmware: &str, tag: &str| {
        let boards = format!("one: {{firmware: {firmware}}}\n      two: {{firmware: fw.elf}}");
        let image = format!("tag: {tag}\n    output: images\n    os: freertos\n    updatable: true");
        bench
            .write("micrun.yaml", format!("version: 1\nimages:\n  - {image}\n    boards:\n      {boards}\n"));
        done(bench.run(["pack"]));
    };
    yaml("fw.elf", "boards:1");
    yaml("new.elf", "boards:2");
    let diff = report(&bench, &["diff", "images", "--from", "boards:1", "--to", "boards:2"]);
    let firmwares = diff["firmwares"].as_array().unwrap();
    assert_eq!((firmwares.len(), &firmwares[0]["board"]), (1, &json!("one")));
    bench.write("more.bin", "1");
    let append = ["append", "images", "--image", "boards:2", "--add", "more.bin=/more.bin", "-t", "boards:3"];
    done(bench.run(append));
    report(&bench, &["flatten", "images", "--image", "boards:3", "-t", "boards:4"]);
    done(bench.run(["verify", "images", "--image", "boards:4"]));
    let layers = |tag: &str| inspected(&bench, tag)["layers"].clone();
    let (packed, flat) = (layers("boards:2"), layers("boards:4"));
    assert_eq!((packed.as_array().unwrap().len(), flat.as_array().unwrap().len()), (1, 1));
    // The second names are links still: there is no second copy of a firmware.
    let unpacked = |layers: &Value| {
        let digest = layers[0]["digest"].as_str().unwrap();
        fs::copy(blob(&bench.path("images"), digest), bench.path("layer.tar.gz")).unwrap();
        let listed = std::process::Command::new("tar").arg("-tvzf").arg(bench.path("layer.tar.gz")).output();
        String::from_utf8(listed.unwrap().stdout).unwrap().lines().filter(|it| it.starts_with('h')).count()
    };
    assert_eq!((unpacked(&packed), unpacked(&flat)), (2, 2));
}

#[test]
fn records_are_made_for_the_layers_of_others() {
    let bench = bench();
    let (old, new) = (bench.read("fw.elf"), bench.read("new.elf"));
    foreign(
        &bench,
        "others",
        &[
            &[("client.conf", regular(CONF)), ("firmware.elf", regular(&old)), ("old", regular(b"x"))],
            &[("firmware.elf", File::Regular(&new, 0o755)), (".wh.old", regular(b""))],
        ],
    );
    let rebuild = |from: &str| report(&bench, &["records", from, "--rebuild", "-t", "with:1", "-o", "with"]);
    let first = rebuild("others");
    assert_eq!((&first["made"], &rebuild("others")["digest"]), (&json!(2), &first["digest"]));
    let layers = bench.inspect("with")["images"][0]["layers"].clone();
    assert!(layers.as_array().unwrap().iter().all(|it| it["record"]["anchored"] == true), "{layers}");
    let records = report(&bench, &["records", "with"]);
    let top = &records["layers"][1]["record"]["content"]["files"];
    assert_eq!((&top["/firmware.elf"]["op"], &top["/old"]["op"]), (&json!("replace"), &json!("delete")));
    assert_eq!(top["/firmware.elf"]["mode"], "0755");
    assert_eq!(top["/firmware.elf"]["changes"][0]["size"], MESSAGE.len());

    // What a tool has dropped comes back, and no blob changes.
    let (_, mut document) = manifest(&bench.path("with"));
    for layer in document["layers"].as_array_mut().unwrap() {
        layer.as_object_mut().unwrap().remove("annotations");
    }
    set_manifest(&bench.path("with"), &document);
    let again = rebuild("with");
    assert_eq!((&again["made"], &again["digest"]), (&json!(0), &first["digest"]));
}

/// All but records, as `inspect --files` has it.
fn files(bench: &Bench, image: &str) -> Vec<Value> {
    let report = report(bench, &["inspect", image, "--files"]);
    let mut files = report["images"][0]["files"].as_array().unwrap().clone();
    files.retain(|it| !it["path"].as_str().unwrap().starts_with("/.micrun"));
    files
}

/// An image whose files are of all kinds, one of them with a long name.
fn of_all_kinds(bench: &Bench) -> Vec<Value> {
    let long = "d/".repeat(120) + "file";
    let elf = bench.read("fw.elf");
    foreign(
        bench,
        "others",
        &[
            &[
                ("z", regular(b"the last name, and the first file")),
                ("client.conf", regular(CONF)),
                ("firmware.elf", regular(&elf)),
                ("null", File::Device),
                ("gone", File::Link("client.conf")),
                ("replaced", File::Link("client.conf")),
            ],
            &[
                ("a", File::Regular(b"#!", 0o6755)),
                ("b", File::Hard("a")),
                ("fifo", File::Fifo),
                ("link", File::Link("../to/nothing/here")),
                ("other-link", File::Hard("link")),
                (".wh.gone", regular(b"")),
                ("replaced", regular(b"now a file")),
                (&long, regular(b"deep")),
            ],
        ],
    );
    files(bench, "others")
}

#[test]
fn a_flat_image_has_files_of_every_kind() {
    let bench = bench();
    let before = of_all_kinds(&bench);
    // Nothing is unpacked: there is no place for it.
    let flatten = ["flatten", "others", "-t", "flat:1", "-o", "flat", "--compression", "none"];
    let ran = Ran::from(bench.command(flatten).env("TMPDIR", bench.path("none")).output().unwrap());
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(files(&bench, "flat"), before);
    done(bench.run(["verify", "flat"]));
    let layer = bench.inspect("flat")["images"][0]["layers"][0]["digest"].as_str().unwrap().to_owned();
    let listed = std::process::Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(blob(&bench.path("flat"), &layer))
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    let has = |start: &str, end: &str| listed.lines().any(|it| it.starts_with(start) && it.ends_with(end));
    for (start, end) in [
        ("crw-rw-rw- 1000/0", " null"),
        ("hrw-r----- 0/0", " b link to a"),
        ("hrw-r----- 0/0", " other-link link to link"),
        ("lrw-r----- 0/0", " link -> ../to/nothing/here"),
        ("prw------- 0/0", " fifo"),
        ("-rw-r--r-- 0/0", "d/d/file"),
    ] {
        assert!(has(start, end), "{start}...{end}:\n{listed}");
    }
}

/// They are not listed, no more than directories.
#[test]
fn records_are_made_for_layers_with_links_and_devices() {
    let bench = bench();
    let before = of_all_kinds(&bench);
    report(&bench, &["records", "others", "--rebuild", "-t", "with:1", "-o", "with"]);
    assert_eq!(files(&bench, "with"), before);
    let layers = bench.inspect("with")["images"][0]["layers"].clone();
    assert!(layers.as_array().unwrap().iter().all(|it| it["record"]["anchored"] == true), "{layers}");
    let records = report(&bench, &["records", "with"]);
    let listed = records["layers"][1]["record"]["content"]["files"].as_object().unwrap();
    let ops: Vec<_> = listed.iter().map(|(path, it)| (path.as_str(), it["op"].as_str().unwrap())).collect();
    let long = format!("/{}file", "d/".repeat(120));
    assert_eq!(ops, [("/a", "add"), ("/b", "add"), (long.as_str(), "add"), ("/replaced", "add")]);
}

/// The digests of a range are the record's own, beside those of the file.
#[test]
fn a_range_that_was_another_before_is_damage() {
    let bench = bench();
    let append = ["append", "images", "--image", "demo:1", "--firmware", "new.elf", "-t", "demo:2"];
    done(bench.run(append.iter().chain(&["-o", "new", "--compression", "none"])));
    done(bench.run(["verify", "new"]));
    let layout = bench.path("new");
    let (path, _) = manifest(&layout);
    let of_platform = |document: &Value| match document["manifests"].as_array() {
        Some(list) => list.iter().map(|it| it["digest"].as_str().unwrap().to_owned()).collect(),
        None => Vec::new(),
    };
    let index = json(&path);
    // The layer, with another digest in its record: canonical JSON of the same length.
    let first = json(blob(&layout, &of_platform(&index)[0]));
    let layer = &first["layers"][1];
    let mut tar = fs::read(blob(&layout, layer["digest"].as_str().unwrap())).unwrap();
    let key = b"\"sha256_before\":\"sha256:";
    let range = tar.windows(7).position(|it| it == b"\"paddr\"").unwrap();
    let at = range + tar[range..].windows(key.len()).position(|it| it == key).unwrap() + key.len();
    tar[at] = if tar[at] == b'0' { b'1' } else { b'0' };
    let forged = descriptor(&layout, LAYER, &tar);
    let mut manifests = index.clone();
    for entry in manifests["manifests"].as_array_mut().unwrap() {
        let mut document = json(blob(&layout, entry["digest"].as_str().unwrap()));
        let mut config = json(blob(&layout, document["config"]["digest"].as_str().unwrap()));
        config["rootfs"]["diff_ids"][1] = forged["digest"].clone();
        document["config"] = descriptor(&layout, CONFIG, config.to_string().as_bytes());
        document["layers"][1] = forged.clone();
        let platform = entry["platform"].clone();
        let media_type = entry["mediaType"].as_str().unwrap().to_owned();
        *entry = descriptor(&layout, &media_type, document.to_string().as_bytes());
        entry["platform"] = platform;
    }
    set_manifest(&layout, &manifests);
    let ran = bench.run(["inspect", "new"]);
    let reason = "does not change the ranges of memory that its record names";
    assert!(ran.status == 4 && ran.stderr.contains(reason), "{ran:?}");
}

/// What Docker pushes and saves for several platforms.
#[test]
fn a_manifest_list_of_docker_s_is_an_image() {
    const TYPE: &str = "application/vnd.docker.";
    let bench = bench();
    bench.pack(&["-o", "docker", "-t", "demo:1", "--os", "freertos", "--updatable"]);
    let layout = bench.path("docker");
    let (_, mut list) = manifest(&layout);
    let list_type = format!("{TYPE}distribution.manifest.list.v2+json");
    let manifest_type = format!("{TYPE}distribution.manifest.v2+json");
    list["mediaType"] = json!(list_type);
    for entry in list["manifests"].as_array_mut().unwrap() {
        let mut image = json(blob(&layout, entry["digest"].as_str().unwrap()));
        image["mediaType"] = json!(manifest_type);
        image["config"]["mediaType"] = json!(format!("{TYPE}container.image.v1+json"));
        image["layers"][0]["mediaType"] = json!(format!("{TYPE}image.rootfs.diff.tar.gzip"));
        let platform = entry["platform"].clone();
        *entry = descriptor(&layout, &manifest_type, image.to_string().as_bytes());
        entry["platform"] = platform;
    }
    set_manifest(&layout, &list);
    edit_index(&layout, |index| index["manifests"][0]["mediaType"] = json!(list_type));

    assert_eq!(bench.inspect("docker")["images"][0]["platforms"].as_array().unwrap().len(), 3);
    done(bench.run(["verify", "docker"]));
    done(bench.run(["append", "docker", "--firmware", "new.elf", "-t", "demo:2", "-o", "new"]));
    done(bench.run(["flatten", "docker", "-t", "demo:3", "-o", "new"]));
    done(bench.run(["verify", "new"]));
    let diff = report(&bench, &["diff", "docker", "new", "--to", "demo:3"]);
    assert_eq!((&diff["files"], &diff["firmwares"]), (&json!([]), &json!([])));
    let made = bench.inspect("new");
    for image in made["images"].as_array().unwrap() {
        assert_eq!(image["platforms"].as_array().unwrap().len(), 3, "{image}");
    }
}

#[test]
fn unpack_leaves_its_directory_alone() {
    let bench = bench();
    let outside = bench.path("outside");
    fs::create_dir(&outside).unwrap();
    let to = outside.to_str().unwrap();
    foreign(
        &bench,
        "others",
        &[
            &[
                ("bin/tool", File::Regular(b"#!", 0o6755)),
                ("up", File::Link("../outside")),
                ("gone", regular(b"x")),
            ],
            &[("away", File::Link(to)), ("away/file", regular(b"y")), (".wh.gone", regular(b""))],
        ],
    );
    done(bench.run(["unpack", "others", "into"]));
    assert!(!bench.path("into/gone").exists());
    assert_eq!(bench.path("into/bin/tool").metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_link(bench.path("into/up")).unwrap(), Path::new("../outside"));
    // Where the link leads inside the image, as containerd follows it.
    assert_eq!(bench.read(&format!("into{to}/file")), b"y");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "something was written outside");

    bench.write("outside/kept", "");
    assert_eq!(bench.run(["unpack", "others", "outside"]).status, 2);
    assert_eq!(bench.run(["unpack", "others", "outside/kept"]).status, 2);
    fs::remove_file(outside.join("kept")).unwrap();
    done(bench.run(["unpack", "images", "outside"]));
    assert!(bench.read("outside/firmware.elf") == bench.read("fw.elf"));
    assert!(bench.files().iter().all(|name| !name.starts_with(".micrun")), "{:?}", bench.files());
}

#[test]
fn verify_finds_all_that_is_wrong() {
    let bench = bench();
    bench.pack(&["-o", "one", "-t", "one:1", "--platform", "linux/arm64"]);
    let layout = bench.path("one");
    let (_, mut document) = manifest(&layout);
    // Against the specification, doubtful, and damaged.
    document["schemaVersion"] = json!(1);
    document.as_object_mut().unwrap().remove("mediaType");
    set_manifest(&layout, &document);
    let layer = blob(&layout, document["layers"][0]["digest"].as_str().unwrap());
    let mut bytes = fs::read(&layer).unwrap();
    bytes[20] ^= 1;
    fs::write(layer, bytes).unwrap();
    edit_index(&layout, |index| {
        index["manifests"][0]["platform"] = json!({"os": "linux", "architecture": "arm"});
    });

    let ran = bench.run(["verify", "one", "--json"]);
    assert_eq!(ran.status, 4, "{ran:?}");
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let found: Vec<_> = found["findings"].as_array().unwrap().iter().map(Value::to_string).collect();
    for words in ["its schemaVersion is not 2", "does not say its mediaType", "the content of blob"] {
        assert!(found.iter().any(|it| it.contains(words)), "{words}: {found:?}");
    }
    let text = bench.run(["verify", "one"]);
    assert!(text.stdout.is_empty() && text.stderr.contains("one is not in order: "), "{text:?}");
    let quiet = bench.run(["verify", "one", "-q"]);
    assert!(!quiet.stderr.contains("warning: ") && quiet.stderr.contains("error: "), "{quiet:?}");
}
