//! A zip archive, and the build that may be in it.
#![no_main]

mod input;

use input::archive::Archive;
use input::build;
use input::tree::Tree as _;
use libfuzzer_sys::fuzz_target;

/// The largest ELF that is taken out.
const LIMIT: u64 = 1 << 16;

fuzz_target!(|bytes: &[u8]| {
    let Ok(archive) = Archive::open(bytes, bytes.len() as u64) else { return };
    let Ok(build) = build::find(&archive) else { return };
    let sentence = build.facts.sentence().unwrap_or_default();
    assert!(!sentence.contains('\u{1b}'), "a note is fit for a terminal");
    let mut elf = Vec::new();
    if archive.copy(&build.elf, LIMIT, &mut elf).is_ok() {
        assert!(elf.len() as u64 <= LIMIT);
    }
});
