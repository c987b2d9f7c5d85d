//! UF2 (<https://github.com/microsoft/uf2>): blocks of 512 bytes, each with its own address, as boot loaders
//! that look like a USB stick take them.

use std::io::{ErrorKind, Read, Write};

use super::fault::{Fault, Result};
use super::memory::Memory;
use super::uf2_family::RP2350_ABSOLUTE;

const BLOCK: usize = 512;
/// Where a block's data begins, and the most it has.
const DATA: usize = 32;
const MAX_DATA: usize = 476;
const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;

const NOT_MAIN_FLASH: u32 = 0x0001;
const FILE_CONTAINER: u32 = 0x1000;
const HAS_FAMILY: u32 = 0x2000;

/// Whether these first bytes of a file are those of UF2.
pub(crate) fn is_uf2(start: &[u8]) -> bool {
    start.len() >= 8 && word(start, 0) == MAGIC[0] && word(start, 1) == MAGIC[1]
}

/// Reads all blocks into `memory`; gives the number of the family, if the file says one.
pub(crate) fn read(mut file: impl Read, memory: &mut Memory<impl Write>) -> Result<Option<u32>> {
    let mut reader = Reader::default();
    let mut block = [0; BLOCK];
    for number in 0_u64.. {
        match fill(&mut file, &mut block)? {
            0 => break,
            BLOCK => reader.block(&block, memory).map_err(|fault| match fault {
                Fault::Refused(reason) => Fault::Refused(format!("block {number}: {reason}")),
                other => other,
            })?,
            _ => return Err(cut_off()),
        }
    }
    reader.finish()
}

fn cut_off() -> Fault {
    Fault::refused("the UF2 file is cut off; copy or convert it again")
}

/// Fills the buffer as far as the file reaches.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// The number at an index of four bytes.
fn word(bytes: &[u8], index: usize) -> u32 {
    bytes[4 * index..4 * index + 4].iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// What the blocks so far have said.
#[derive(Default)]
struct Reader {
    /// How many blocks each says there are.
    total: Option<u32>,
    /// How many there were.
    count: u32,
    /// The family of all of them; 0 is none.
    family: Option<u32>,
}

impl Reader {
    fn block(&mut self, block: &[u8; BLOCK], memory: &mut Memory<impl Write>) -> Result<()> {
        let [flags, address, length, number, total, family] =
            [2, 3, 4, 5, 6, 7].map(|index| word(block, index));
        if !is_uf2(block) || word(block, BLOCK / 4 - 1) != MAGIC_END {
            return Err(Fault::refused("its magic numbers are missing; copy or convert the file again"));
        }
        let family = if flags & HAS_FAMILY == 0 { 0 } else { family };
        if family == RP2350_ABSOLUTE {
            return Ok(());
        }
        if flags & FILE_CONTAINER != 0 {
            return Err(Fault::refused("it holds a file, not a firmware"));
        }
        if *self.total.get_or_insert(total) != total || number >= total {
            return Err(Fault::refused(
                "its number does not fit the other blocks: several files were joined, give one",
            ));
        }
        self.count += 1;
        if flags & NOT_MAIN_FLASH != 0 {
            return Ok(());
        }
        let first = *self.family.get_or_insert(family);
        if first != family {
            return Err(Fault::refused(format!(
                "it is for the family {family:#010x}, and those before it for {first:#010x}; give a file for one"
            )));
        }
        let length = length as usize;
        if length > MAX_DATA {
            return Err(Fault::refused(format!(
                "it says that it has {length} bytes of data, more than {MAX_DATA}"
            )));
        }
        memory.add(address.into(), &block[DATA..DATA + length])
    }

    /// Whether every block was there. That none came twice is known by the addresses.
    fn finish(self) -> Result<Option<u32>> {
        match self.total {
            Some(total) if total != self.count => Err(cut_off()),
            _ => Ok(self.family.filter(|family| *family != 0)),
        }
    }
}
