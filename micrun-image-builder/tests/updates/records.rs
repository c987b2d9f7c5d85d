//! `records`.

use std::fs;

use serde_json::{Value, json};

use crate::common::layout::{descriptor, manifest, set_manifest};
use crate::common::{blob, json};
use crate::foreign::{CONF, CONFIG, File, LAYER, files, foreign, of_all_kinds, regular};
use crate::{MESSAGE, bench, done, report};

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
