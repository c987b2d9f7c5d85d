//! Where a Cortex-M begins: its vector table has the first stack pointer, then the reset handler (Arm DDI 0403,
//! B1.5.3).

use std::io::{Read, Seek};

use super::fault::Result;
use super::memory::Contents;

/// Where the table may be, counted from the first byte: at the beginning, or behind the boot code that an
/// RP2040 loads from the first 256 bytes of its flash.
const PLACES: [u64; 2] = [0, 0x100];

/// The address of the reset handler, bit 0 set as in every pointer to Thumb code.
pub(crate) fn entry(memory: &mut Contents<impl Read + Seek>) -> Result<Option<u64>> {
    for place in PLACES {
        let table = memory.start().saturating_add(place);
        let (Some(stack), Some(reset)) = (memory.word(table)?, memory.word(table.saturating_add(4))?) else {
            continue;
        };
        let is_code = reset & 1 == 1 && memory.holds(u64::from(reset & !1));
        if stack != 0 && stack.is_multiple_of(4) && is_code {
            return Ok(Some(reset.into()));
        }
    }
    Ok(None)
}
