//! What gdb sends to `mica gdb-stub`.
#![no_main]

#[path = "../../micrun/micad/src/gdb_packet.rs"]
mod gdb_packet;

use gdb_packet::{LONGEST, Message, Parser, packet, unhex};
use libfuzzer_sys::fuzz_target;
use micrun_firmware::digest::hex;

fn messages(bytes: &[u8]) -> Vec<Message> {
    let mut parser = Parser::default();
    bytes.iter().filter_map(|byte| parser.take(*byte)).collect()
}

fuzz_target!(|bytes: &[u8]| {
    for message in messages(bytes) {
        let Message::Packet(text) = message else { continue };
        assert!(text.len() < LONGEST);
        if let Some(bytes) = unhex(&text) {
            assert_eq!(hex(&bytes), text.to_ascii_lowercase());
        }
        assert_eq!(
            messages(packet(&text).as_bytes()),
            [Message::Packet(text)],
            "what was written can be read"
        );
    }
});
