//! The record of a layer's changes, as an image brings it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use micrun_firmware::record::LayerRecord;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = LayerRecord::parse(bytes) else { return };
    assert_eq!(record.to_json().expect("what was read can be written"), bytes, "it is canonical");
});
