//! Where a processor is in its firmware.

use std::path::Path;

use micrun_firmware::elf::Place;

use super::firmware_file;

/// Where the address lies in the firmware; a file that cannot be read any more names nothing.
pub(crate) fn place(firmware: &Path, pc: u64) -> Place {
    // The pedestal is for a message that nobody gets.
    let found =
        firmware_file::open(firmware, super::qemu::NAME).ok().and_then(|file| Place::find(file, pc).ok());
    found.unwrap_or(Place::Unnamed)
}
