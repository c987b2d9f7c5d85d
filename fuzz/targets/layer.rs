//! A layer of an image, which the image builder unpacks: twice, so that the second finds what the first has made.
#![no_main]

#[path = "../../micrun-image-builder/src/digest.rs"]
mod digest;
#[path = "../../micrun-image-builder/src/inspect/rootfs.rs"]
mod rootfs;
mod scratch;

use std::fs;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use scratch::Scratch;

/// All that is below a directory, which is no device and no pipe.
fn count(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).expect("it is a directory").flatten();
    let below = |entry: fs::DirEntry| {
        let kind = entry.file_type().expect("it is there");
        assert!(kind.is_dir() || kind.is_file() || kind.is_symlink(), "{:?} is something else", entry.path());
        1 + if kind.is_dir() { count(&entry.path()) } else { 0 }
    };
    entries.map(below).sum()
}

fuzz_target!(|bytes: &[u8]| {
    let mut layer = bytes.to_vec();
    scratch::sum_headers(&mut layer);
    let scratch = Scratch::new();
    for _ in 0..2 {
        let applied = rootfs::apply(&scratch.root, layer.as_slice());
        scratch.check();
        count(&scratch.root);
        let Ok(applied) = applied else { continue };
        assert!(applied.files.keys().chain(&applied.links).all(|path| !path.starts_with('/')));
        assert!(applied.diff.size >= applied.files.values().map(|file| file.content.size).sum());
        for (path, file) in &applied.files {
            let found = fs::symlink_metadata(scratch.root.join(path));
            // An opaque directory may have taken it along.
            assert!(found.is_err() || found.is_ok_and(|found| found.len() == file.content.size), "{path}");
        }
    }
});
