//! Intel HEX (Intel, "Hexadecimal Object File Format Specification", revision A, 1988), as linkers, IDEs and
//! `objcopy -O ihex` write it. It has addresses below 4 GiB and no symbols.

use std::io::{BufRead, Read, Write};

use ihex::Record;

use super::fault::{Fault, Result};
use super::memory::Memory;

/// The longest line: a colon, 255 bytes of data and 5 others in two digits each, and the line's end.
const MAX_LINE: u64 = 1 + 2 * (255 + 5) + 2;

/// Whether these first bytes of a file are the beginning of a record.
pub(crate) fn is_hex(start: &[u8]) -> bool {
    let start = start.trim_ascii_start();
    start.first() == Some(&b':') && start.len() >= 11 && start[1..11].iter().all(u8::is_ascii_hexdigit)
}

/// Reads all records into `memory`; gives the entry point, if the file says one.
pub(crate) fn read(mut text: impl BufRead, memory: &mut Memory<impl Write>) -> Result<Option<u64>> {
    let mut reader = Reader { base: Base::Linear(0), entry: None, ended: false };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if text.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let record = line.trim_ascii();
        if record.is_empty() {
            continue;
        }
        reader.record(record, memory).map_err(|fault| match fault {
            Fault::Refused(reason) => Fault::Refused(format!("line {number}: {reason}")),
            other => other,
        })?;
    }
    if reader.ended {
        return Ok(reader.entry);
    }
    Err(Fault::refused("its last record is missing: the file is cut off, copy or convert it again"))
}

/// What the records so far say about those that follow.
struct Reader {
    base: Base,
    entry: Option<u64>,
    ended: bool,
}

/// What an offset counts from.
#[derive(Clone, Copy)]
enum Base {
    /// Record type 02: offsets stay within 64 KiB.
    Segment(u64),
    /// Record type 04: offsets stay within 4 GiB.
    Linear(u64),
}

impl Reader {
    fn record(&mut self, line: &[u8], memory: &mut Memory<impl Write>) -> Result<()> {
        if self.ended {
            return Err(Fault::refused(
                "a record follows the last one; several files were joined, merge them",
            ));
        }
        let text = str::from_utf8(line).unwrap_or_default();
        let record = Record::from_record_string(text).map_err(|error| {
            Fault::refused(format!("it is no Intel HEX record: {error}; copy or convert the file again"))
        })?;
        match record {
            Record::Data { offset, value } => memory.add(self.address(offset, value.len())?, &value)?,
            Record::EndOfFile => self.ended = true,
            Record::ExtendedSegmentAddress(base) => self.base = Base::Segment(u64::from(base) << 4),
            Record::ExtendedLinearAddress(base) => self.base = Base::Linear(u64::from(base) << 16),
            // GNU objcopy writes this one for every entry point below 1 MiB, whatever the processor.
            Record::StartSegmentAddress { cs, ip } => {
                self.entry = Some((u64::from(cs) << 4) + u64::from(ip));
            }
            Record::StartLinearAddress(entry) => self.entry = Some(entry.into()),
        }
        Ok(())
    }

    /// The address of a data record. One that would wrap around at the end of its range is refused.
    fn address(&self, offset: u16, length: usize) -> Result<u64> {
        let offset = u64::from(offset);
        let (base, end, limit) = match self.base {
            Base::Segment(base) => (base, offset + length as u64, 1 << 16),
            Base::Linear(base) => (base, base + offset + length as u64, 1 << 32),
        };
        if end > limit {
            return Err(Fault::refused(
                "its data passes the end of the address range; convert the file again",
            ));
        }
        Ok(base + offset)
    }
}
