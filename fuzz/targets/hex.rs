//! Intel HEX, and the ELF that is made of it.
#![no_main]

mod input;

use input::memory::Memory;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut memory = Memory::new(input::Spool::default());
    if let Ok(entry) = input::hex::read(bytes, &mut memory) {
        input::make(memory, entry);
    }
});
