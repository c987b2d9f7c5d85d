//! A firmware's delta, as an image brings it: read, and put together from a base of the same image.
#![no_main]

use std::fs::File;
use std::io::Write;

use libfuzzer_sys::fuzz_target;
use micrun_firmware::delta::{Content, Header};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((header, end)) = Header::parse(bytes) {
        let written = header.to_bytes().expect("what was read can be written");
        assert_eq!(written, bytes[..written.len()], "it is canonical");
        assert_eq!(written.len() as u64, end);
    }
    let Ok(Content::Delta(delta)) = Content::open(file(bytes), &mut |_| Ok(file(b"hello, world"))) else {
        return;
    };
    let to = tempfile::tempfile().expect("a temporary file");
    if delta.copy_to(&to).is_ok() {
        assert_eq!(to.metadata().expect("its size").len(), delta.header.result.size);
    }
});

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(bytes).expect("a temporary file that takes it");
    file
}
