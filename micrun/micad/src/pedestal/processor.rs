//! What both pedestals find out about a processor: registers in the text that shows them, and where it is in its firmware.

use std::path::Path;

use micrun_firmware::elf::Place;

use super::firmware_file;

/// The number behind a register's name: `PC=0000` or `pc 0000`.
pub(crate) fn number(text: &str, name: &str) -> Option<u64> {
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let digits = match word.strip_prefix(name) {
            Some("") => words.next()?,
            Some(rest) => rest.strip_prefix('=').unwrap_or_default(),
            None => continue,
        };
        if let Ok(number) = u64::from_str_radix(digits, 16) {
            return Some(number);
        }
    }
    None
}

/// Where the address lies in the firmware; a file that cannot be read any more names nothing.
pub(super) fn place(firmware: &Path, pc: u64) -> Place {
    // The pedestal is for a message that nobody gets.
    let found =
        firmware_file::open(firmware, super::qemu::NAME).ok().and_then(|file| Place::find(file, pc).ok());
    found.unwrap_or(Place::Unnamed)
}
