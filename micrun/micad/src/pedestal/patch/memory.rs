//! Writing to the memory of firmware that stands still: all pieces or none.

use super::{Piece, refuse};
use crate::{Error, Result};

/// The memory of firmware that stands still. Its methods block.
pub(in crate::pedestal) trait Memory {
    /// The `size` bytes at the physical address `address`.
    fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>>;

    /// Writes `bytes` to the physical address `address`. No processor executes or reads what was there before.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()>;
}

/// Writes all pieces, if memory holds what it must before. On an error it is as it was, unless that is
/// [`Error::HalfPatched`].
pub(in crate::pedestal) fn rewrite(memory: &mut impl Memory, pieces: &[Piece]) -> Result<()> {
    check(memory, pieces)?;
    write(memory, pieces).map_err(|problem| put_back(memory, pieces, &problem))
}

fn check(memory: &mut impl Memory, pieces: &[Piece]) -> Result<()> {
    for Piece { address, before, .. } in pieces {
        if memory.read(*address, before.len())? != *before {
            return Err(refuse(format!(
                "the {} bytes at {address:#x} are not those of the firmware that was started: it has changed them, or \
                 is another one",
                before.len()
            )));
        }
    }
    Ok(())
}

fn write(memory: &mut impl Memory, pieces: &[Piece]) -> Result<()> {
    for Piece { address, after, .. } in pieces {
        memory.write(*address, after)?;
    }
    for Piece { address, after, .. } in pieces {
        if memory.read(*address, after.len())? != *after {
            return Err(refuse(format!("the memory at {address:#x} cannot be written")));
        }
    }
    Ok(())
}

/// Undoes what was written of a patch that failed; gives the error to report.
fn put_back(memory: &mut impl Memory, pieces: &[Piece], problem: &Error) -> Error {
    // Each of them, also behind one that cannot be written: it may hold what it held.
    let written: Vec<_> =
        pieces.iter().map(|Piece { address, before, .. }| memory.write(*address, before)).collect();
    let restored = check(memory, pieces).err();
    let reason = match problem {
        Error::NotPatched { problem } => problem.clone(),
        other => other.sentence(),
    };
    if restored.is_none() {
        return refuse(reason);
    }
    let why = written.into_iter().find_map(Result::err);
    let why = why.map_or_else(|| "it could not be put back".to_owned(), |e| e.sentence());
    Error::HalfPatched { problem: format!("{reason}; {why}") }
}
