//! The create message of the mica protocol, as the daemon gets it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use libmica::CreateMessage;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = CreateMessage::from_slice(bytes) else { return };
    let encoded = message.encode().expect("what was read can be written");
    assert_eq!(CreateMessage::decode(&encoded).expect("what was written can be read"), message);
});
