//! An image as `inspect` reads it. The first byte says whether it is an archive or a layout; the rest are its documents
//! and layers with a line `%%` between them: first `index.json`, then the blobs.
//!
//! In a document `@3` stands for the digest of the third blob and `#3` for its size, so that what refers to each other
//! still does after a change.
#![no_main]

#[path = "../../micrun-image-builder/src/checked.rs"]
mod checked;
#[path = "../../micrun-image-builder/src/compressed.rs"]
mod compressed;
#[path = "../../micrun-image-builder/src/digest.rs"]
mod digest;
#[path = "../../micrun-image-builder/src/error.rs"]
mod error;
#[path = "../../micrun-image-builder/src/gzip.rs"]
mod gzip;
#[path = "../../micrun-image-builder/src/image.rs"]
mod image;
#[path = "../../micrun-image-builder/src/inspect/mod.rs"]
mod inspect;
#[path = "../../micrun-image-builder/src/interrupt.rs"]
mod interrupt;
#[path = "../../micrun-image-builder/src/json.rs"]
mod json;
#[path = "../../micrun-image-builder/src/layer/mod.rs"]
mod layer;
#[path = "../../micrun-image-builder/src/layers/mod.rs"]
mod layers;
#[path = "../../micrun-image-builder/src/names.rs"]
mod names;
#[path = "../../micrun-image-builder/src/platform.rs"]
mod platform;
#[path = "../../micrun-image-builder/src/say.rs"]
mod say;
mod scratch;
#[path = "../../micrun-image-builder/src/sink/mod.rs"]
mod sink;
#[path = "../../micrun-image-builder/src/source/mod.rs"]
mod source;
#[path = "../../micrun-image-builder/src/spool.rs"]
mod spool;
#[path = "../../micrun-image-builder/src/text.rs"]
mod text;
#[path = "../../micrun-image-builder/src/timestamp.rs"]
mod timestamp;
#[path = "../../micrun-image-builder/src/view.rs"]
mod view;

/// What is known here of artifacts.
#[path = "."]
mod provenance {
    #[path = "../../micrun-image-builder/src/provenance/artifact.rs"]
    mod artifact;
    #[path = "../../micrun-image-builder/src/provenance/attached.rs"]
    mod attached;
    #[path = "../../micrun-image-builder/src/provenance/cosign.rs"]
    mod cosign;
    #[path = "../../micrun-image-builder/src/provenance/options.rs"]
    mod options;
    #[path = "../../micrun-image-builder/src/provenance/slsa.rs"]
    mod slsa;
    #[path = "../../micrun-image-builder/src/provenance/spdx.rs"]
    mod spdx;
    #[path = "../../micrun-image-builder/src/provenance/statement.rs"]
    mod statement;

    pub(crate) use attached::Attached;
}

/// What `inspect` uses of packing.
#[path = "."]
mod pack {
    #[path = "../../micrun-image-builder/src/pack/input/origin.rs"]
    mod origin;

    pub(crate) use origin::read as origin_of;
}

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use digest::Measured;
use libfuzzer_sys::fuzz_target;
use scratch::Scratch;

const SEPARATOR: &[u8] = b"\n%%\n";
/// A digit names a blob.
const MOST_BLOBS: usize = 9;
const ANYTHING: inspect::Wanted<'_> = inspect::Wanted { image: None, platform: None };
const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

fn pieces(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let Some(at) = bytes.windows(SEPARATOR.len()).position(|window| window == SEPARATOR)
        && pieces.len() < MOST_BLOBS
    {
        pieces.push(bytes[..at].to_vec());
        bytes = &bytes[at + SEPARATOR.len()..];
    }
    pieces.push(bytes.to_vec());
    pieces
}

/// The files of a layout.
fn files(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![("oci-layout".to_owned(), LAYOUT.to_vec())];
    let mut pieces = pieces(bytes);
    let index = pieces.remove(0);
    let mut known: Vec<(usize, Measured)> = Vec::new();
    let fill = |piece: Vec<u8>, known: &[(usize, Measured)]| match String::from_utf8(piece) {
        Ok(mut text) => {
            for (number, measured) in known {
                text = text.replace(&format!("@{number}"), &format!("sha256:{}", measured.digest.digest()));
                text = text.replace(&format!("#{number}"), &measured.size.to_string());
            }
            text.into_bytes()
        }
        Err(error) => error.into_bytes(),
    };
    // From the last on: a document names what comes after it.
    for (number, piece) in (1..).zip(pieces).collect::<Vec<_>>().into_iter().rev() {
        let mut blob = piece;
        match blob.get(257..262) == Some(b"ustar") {
            true => scratch::sum_headers(&mut blob),
            false => blob = fill(blob, &known),
        }
        let measured = Measured::of(&blob);
        files.push((measured.blob_path(), blob));
        known.push((number, measured));
    }
    files.push(("index.json".to_owned(), fill(index, &known)));
    files
}

fn write_layout(to: &Path, files: &[(String, Vec<u8>)]) {
    for (name, content) in files {
        let path = to.join(name);
        fs::create_dir_all(path.parent().expect("it is below a directory")).expect("it can be made");
        fs::write(path, content).expect("it can be written");
    }
}

fn write_archive(to: &Path, files: &[(String, Vec<u8>)]) {
    let mut tar = tar::Builder::new(File::create(to).expect("it can be made"));
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_slice()).expect("it can be written");
    }
    tar.finish().expect("it can be written");
}

fuzz_target!(|bytes: &[u8]| {
    let Some((way, bytes)) = bytes.split_first() else { return };
    let scratch = Scratch::new();
    let image = scratch.root.join("image");
    match way % 4 {
        0 => fs::write(&image, bytes).expect("it can be written"),
        1 => write_archive(&image, &files(bytes)),
        _ => write_layout(&image, &files(bytes)),
    }
    let inspected = inspect::run(&image, ANYTHING, &BTreeMap::new(), true);
    scratch.check();
    let Ok(report) = inspected else { return };
    assert!(!report.to_string().contains('\u{1b}'), "a report is fit for a terminal");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert!(json["images"].as_array().is_some_and(|images| !images.is_empty()), "it is of something");
});
