//! The label of a checkpoint, as an image brings it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use micrun_firmware::snapshot::{Label, Machine};

fuzz_target!(|bytes: &[u8]| {
    let Ok(label) = Label::parse(bytes) else { return };
    let written = serde_json::to_vec(&label).expect("what was read can be written");
    assert_eq!(Label::parse(&written).expect("what was written can be read"), label);
    assert_eq!(label.differences(&label.machine), "", "it is its own machine");
    let other = Machine { vcpus: label.machine.vcpus.wrapping_add(1), ..label.machine.clone() };
    assert!(label.differences(&other).starts_with("its virtual CPUs was"));
});
