//! `flatten`.

use std::fs;

use serde_json::{Value, json};

use crate::common::layout::{descriptor, edit_index, manifest, set_manifest};
use crate::common::{Ran, blob, json};
use crate::foreign::{files, of_all_kinds};
use crate::{bench, done, inspected, report};

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
