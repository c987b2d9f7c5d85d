//! The documents that a mica daemon answers to extension commands.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use libmica::ext::{ClientList, ExitReport, Stats, Version};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(document) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_vec(&document).expect("what was read can be written");
    assert_eq!(serde_json::from_slice::<T>(&written).expect("what was written can be read"), document);
}

fuzz_target!(|bytes: &[u8]| {
    round_trip::<ExitReport>(bytes);
    round_trip::<Stats>(bytes);
    round_trip::<ClientList>(bytes);
    round_trip::<Version>(bytes);
});
