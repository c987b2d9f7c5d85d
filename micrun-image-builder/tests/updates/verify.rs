//! `verify`.

use std::fs;

use serde_json::{Value, json};

use crate::bench;
use crate::common::blob;
use crate::common::layout::{edit_index, manifest, set_manifest};

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
