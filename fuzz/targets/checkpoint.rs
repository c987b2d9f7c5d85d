//! The label of a checkpoint, as an image brings it.
#![no_main]

#[path = "../../micrun/shim/src/error.rs"]
mod error;
#[path = "../../micrun/shim/src/rtos/label.rs"]
mod label;
#[path = "../../micrun/shim/src/rtos/machine.rs"]
mod machine;

use error::Error;
use label::Label;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let refused = |reason: &str| Error::Invalid(reason.to_owned());
    let label = match Label::parse(bytes, refused) {
        Ok(label) => label,
        Err(error) => return assert!(matches!(error, Error::Invalid(_) | Error::Newer { .. })),
    };
    let written = serde_json::to_vec(&label).expect("what was read can be written");
    assert_eq!(Label::parse(&written, refused).expect("what was written can be read"), label);
    assert_eq!(label.differences(&label.machine), "", "it is its own machine");
    let other = machine::Machine { vcpus: label.machine.vcpus.wrapping_add(1), ..label.machine.clone() };
    assert!(label.differences(&other).starts_with("its virtual CPUs was"));
});
