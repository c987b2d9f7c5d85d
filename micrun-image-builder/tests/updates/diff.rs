//! `diff`.

use std::collections::BTreeSet;
use std::fs;

use serde_json::json;

use crate::{MESSAGE, bench, done, report};

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
