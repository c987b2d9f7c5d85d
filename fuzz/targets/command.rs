//! Control commands of the mica protocol, as the daemon gets them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use libmica::Command;

fuzz_target!(|bytes: &[u8]| {
    let Ok(command) = Command::decode(bytes) else { return };
    let encoded = command.encode().expect("what was read can be written");
    assert_eq!(Command::decode(&encoded).expect("what was written can be read"), command);
});
