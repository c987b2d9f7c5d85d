//! Layout directories changed by hand, as a forger or a careless tool would.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{blob, json as read};

/// Adds a blob: its digest and its size.
pub(crate) fn store(layout: &Path, bytes: &[u8]) -> (Value, Value) {
    let new = layout.join("blobs/sha256/new");
    fs::write(&new, bytes).unwrap();
    let sum = Command::new("sha256sum").arg(&new).output().unwrap();
    let digest = String::from_utf8(sum.stdout).unwrap().split(' ').next().unwrap().to_owned();
    fs::rename(&new, layout.join("blobs/sha256").join(&digest)).unwrap();
    (json!(format!("sha256:{digest}")), json!(bytes.len()))
}

/// The descriptor of a new blob.
pub(crate) fn descriptor(layout: &Path, media_type: &str, bytes: &[u8]) -> Value {
    let (digest, size) = store(layout, bytes);
    json!({"mediaType": media_type, "digest": digest, "size": size})
}

/// Lets `change` edit `index.json`.
pub(crate) fn edit_index(layout: &Path, change: impl FnOnce(&mut Value)) {
    let path = layout.join("index.json");
    let mut index = read(&path);
    change(&mut index);
    fs::write(path, index.to_string()).unwrap();
}

/// What the first entry of `index.json` names: where it is, and what it says.
pub(crate) fn manifest(layout: &Path) -> (PathBuf, Value) {
    let index = read(layout.join("index.json"));
    let path = blob(layout, index["manifests"][0]["digest"].as_str().unwrap());
    let value = read(&path);
    (path, value)
}

/// Puts another document in its place.
pub(crate) fn set_manifest(layout: &Path, document: &Value) {
    let (digest, size) = store(layout, document.to_string().as_bytes());
    edit_index(layout, |index| {
        index["manifests"][0]["digest"] = digest;
        index["manifests"][0]["size"] = size;
    });
}
