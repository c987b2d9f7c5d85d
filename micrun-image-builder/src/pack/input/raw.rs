//! A raw binary, as `objcopy -O binary` writes it: the bytes of memory from one address on, and nothing else.

use std::io::{BufRead, Write};

use super::fault::Result;
use super::memory::Memory;

/// Reads the file into `memory` at an address.
pub(crate) fn read(mut file: impl BufRead, mut address: u64, memory: &mut Memory<impl Write>) -> Result<()> {
    loop {
        let part = file.fill_buf()?;
        if part.is_empty() {
            return Ok(());
        }
        memory.add(address, part)?;
        let length = part.len();
        address += length as u64;
        file.consume(length);
    }
}
