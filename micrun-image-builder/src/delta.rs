//! A delta made: the parts of a file that its base has as well, and the rest.
//!
//! As rsync does: the base is cut into blocks, each known by a sum that can be moved along the file byte by byte. What
//! has the sum is compared, and lengthened to both sides.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;

use micrun_firmware::delta::{MAX_OPERATIONS, Operation};

/// The smallest block. A copy of fewer bytes would take as many in the header.
const LEAST_BLOCK: u64 = 64;
/// Blocks of a base; the larger it is, the larger they are.
const MOST_BLOCKS: u64 = 1 << 18;
/// Bytes of a file in memory at a time.
const CHUNK: usize = 64 << 10;

/// How the file `result` is put together from `base` and bytes of its own.
pub(crate) fn operations(base: &File, result: &File) -> io::Result<Vec<Operation>> {
    let size = base.metadata()?.len();
    let block = size.div_ceil(MOST_BLOCKS).next_power_of_two().max(LEAST_BLOCK);
    let copies = copies(&mut Window::new(base)?, &mut Window::new(result)?, block)?;
    let size = result.metadata()?.len();
    let mut least = 0;
    loop {
        let operations = fill(copies.iter().filter(|it| it.size >= least), size);
        if operations.len() <= MAX_OPERATIONS {
            return Ok(operations);
        }
        least = (least * 2).max(2 * LEAST_BLOCK);
    }
}

/// Writes the bytes that `operations` do not find in the base.
pub(crate) fn own_bytes(operations: &[Operation], result: &File, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    for operation in operations {
        let end = at + operation.size;
        while operation.from.is_none() && at < end {
            let size = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
            result.read_exact_at(&mut buffer[..size], at)?;
            to.write_all(&buffer[..size])?;
            at += size as u64;
        }
        at = end;
    }
    Ok(())
}

/// Bytes of the result that the base has.
#[derive(Clone, Copy)]
struct Copy {
    at: u64,
    from: u64,
    size: u64,
}

/// The copies, and between them what is the result's own.
fn fill<'a>(copies: impl Iterator<Item = &'a Copy>, size: u64) -> Vec<Operation> {
    let mut operations = Vec::new();
    let mut at = 0;
    let own = |operations: &mut Vec<Operation>, size: u64| {
        if size > 0 {
            operations.push(Operation { from: None, size });
        }
    };
    for copy in copies {
        own(&mut operations, copy.at - at);
        operations.push(Operation { from: Some(copy.from), size: copy.size });
        at = copy.at + copy.size;
    }
    own(&mut operations, size - at);
    operations
}

fn copies(base: &mut Window<'_>, result: &mut Window<'_>, block: u64) -> io::Result<Vec<Copy>> {
    let blocks = blocks(base, block)?;
    let mut copies: Vec<Copy> = Vec::new();
    let (mut at, mut free) = (0, 0);
    let mut sum: Option<Sum> = None;
    while at + block <= result.size {
        let current = match sum.take() {
            Some(sum) => sum,
            None => Sum::of(result, at, block)?,
        };
        // The place that continues the last copy comes first: most updates move nothing.
        let ahead = copies.last().map(|it| it.from + (at - it.at));
        let known = blocks.get(&current.value()).copied();
        let mut found = None;
        for from in ahead.into_iter().chain(known) {
            if from + block <= base.size && same(base, from, result, at, block)? {
                found = Some(from);
                break;
            }
        }
        let Some(from) = found else {
            if at + block < result.size {
                sum = Some(current.moved(result.byte(at)?, result.byte(at + block)?, block));
            }
            at += 1;
            continue;
        };
        let copy = lengthened(base, result, Copy { at, from, size: block }, free)?;
        at = copy.at + copy.size;
        free = at;
        match copies.last_mut() {
            Some(last) if last.at + last.size == copy.at && last.from + last.size == copy.from => {
                last.size += copy.size;
            }
            _ => copies.push(copy),
        }
    }
    Ok(copies)
}

/// Where each block of the base is, by its sum. Of several with the same sum, the first.
fn blocks(base: &mut Window<'_>, block: u64) -> io::Result<HashMap<u32, u64>> {
    let mut blocks = HashMap::new();
    let mut at = 0;
    while at + block <= base.size {
        blocks.entry(Sum::of(base, at, block)?.value()).or_insert(at);
        at += block;
    }
    Ok(blocks)
}

fn same(base: &mut Window<'_>, from: u64, result: &mut Window<'_>, at: u64, size: u64) -> io::Result<bool> {
    for offset in 0..size {
        if base.byte(from + offset)? != result.byte(at + offset)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The copy with all equal bytes around it, from `free` of the result on.
fn lengthened(base: &mut Window<'_>, result: &mut Window<'_>, mut copy: Copy, free: u64) -> io::Result<Copy> {
    while copy.at > free && copy.from > 0 && base.byte(copy.from - 1)? == result.byte(copy.at - 1)? {
        copy = Copy { at: copy.at - 1, from: copy.from - 1, size: copy.size + 1 };
    }
    while copy.at + copy.size < result.size
        && copy.from + copy.size < base.size
        && base.byte(copy.from + copy.size)? == result.byte(copy.at + copy.size)?
    {
        copy.size += 1;
    }
    Ok(copy)
}

/// rsync's weak sum: of the bytes, and of the sums up to each of them.
#[derive(Clone, Copy)]
struct Sum {
    bytes: u32,
    sums: u32,
}

impl Sum {
    fn of(window: &mut Window<'_>, at: u64, size: u64) -> io::Result<Self> {
        let mut sum = Self { bytes: 0, sums: 0 };
        for offset in 0..size {
            sum.bytes = sum.bytes.wrapping_add(u32::from(window.byte(at + offset)?));
            sum.sums = sum.sums.wrapping_add(sum.bytes);
        }
        Ok(sum)
    }

    /// The same one byte further on.
    fn moved(self, out: u8, new: u8, size: u64) -> Self {
        let bytes = self.bytes.wrapping_sub(out.into()).wrapping_add(new.into());
        #[expect(clippy::cast_possible_truncation, reason = "sums are taken modulo 2^32")]
        let gone = u32::from(out).wrapping_mul(size as u32);
        Self { bytes, sums: self.sums.wrapping_sub(gone).wrapping_add(bytes) }
    }

    const fn value(self) -> u32 {
        self.sums.wrapping_mul(0x9e37_79b1).rotate_left(15) ^ self.bytes
    }
}

/// A file, read in pieces that stay in memory for a while.
struct Window<'a> {
    file: &'a File,
    size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        Ok(Self { file, size: file.metadata()?.len(), start: 0, bytes: Vec::new() })
    }

    fn byte(&mut self, at: u64) -> io::Result<u8> {
        let position = usize::try_from(at.wrapping_sub(self.start)).unwrap_or(usize::MAX);
        if let Some(byte) = self.bytes.get(position) {
            return Ok(*byte);
        }
        // Some of it lies before: copies are lengthened to both sides.
        self.start = at.saturating_sub(CHUNK as u64 / 4);
        let size = usize::try_from(self.size - self.start).map_or(CHUNK, |left| left.min(CHUNK));
        self.bytes.resize(size, 0);
        self.file.read_exact_at(&mut self.bytes, self.start)?;
        let position = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        self.bytes.get(position).copied().ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// What the operations give, and how many bytes of it are its own.
    fn apply(base: &[u8], result: &[u8]) -> (Vec<u8>, usize) {
        let (base_file, result_file) = (file(base), file(result));
        let operations = operations(&base_file, &result_file).unwrap();
        let mut own = Vec::new();
        own_bytes(&operations, &result_file, &mut own).unwrap();
        let (mut made, mut next) = (Vec::new(), 0);
        for it in &operations {
            let size = usize::try_from(it.size).unwrap();
            if let Some(from) = it.from {
                let from = usize::try_from(from).unwrap();
                made.extend(&base[from..from + size]);
            } else {
                made.extend(&own[next..next + size]);
                next += size;
            }
        }
        (made, own.len())
    }

    /// Bytes that repeat nowhere.
    fn noise(size: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut byte = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        (0..size).map(|_| byte()).collect()
    }

    #[test]
    fn what_is_changed_inserted_or_moved_costs_its_own_bytes() {
        let base = noise(100_000);
        let mut changed = base.clone();
        changed[5000..5012].copy_from_slice(b"another text");
        let inserted = [&base[..70_000], b"inserted".as_slice(), &base[70_000..]].concat();
        let moved = [&base[50_000..], &base[..50_000]].concat();
        for (result, most) in [(&base, 0), (&changed, 12), (&inserted, 8), (&moved, 0)] {
            let (made, own) = apply(&base, result);
            assert!(made == *result);
            assert!(own <= most, "{own} bytes instead of {most}");
        }
    }

    #[test]
    fn there_are_never_more_operations_than_a_reader_takes() {
        let base = noise(6_000_000);
        let mut result = base.clone();
        result.iter_mut().step_by(200).for_each(|byte| *byte = byte.wrapping_add(1));
        let operations = operations(&file(&base), &file(&result)).unwrap();
        assert!(operations.len() <= MAX_OPERATIONS);
        assert_eq!(operations.iter().map(|it| it.size).sum::<u64>(), result.len() as u64);
    }

    proptest! {
        #[test]
        fn the_operations_give_the_result(
            parts in prop::collection::vec((0_usize..4000, 0_usize..300, any::<bool>()), 0..12),
        ) {
            let base = noise(4300);
            let part = |&(start, size, known): &(usize, usize, bool)| {
                if known { base[start..start + size].to_vec() } else { vec![7; size] }
            };
            let result: Vec<u8> = parts.iter().flat_map(part).collect();
            prop_assert!(apply(&base, &result).0 == result);
        }
    }
}
