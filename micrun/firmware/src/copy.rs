//! Copies of firmware that take no more memory than the firmware has content.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

/// Bytes that are read at a time.
const CHUNK: usize = 64 << 10;
/// What a memory file is made of; smaller holes save nothing.
const PAGE: usize = 4 << 10;
static ZEROS: [u8; PAGE] = [0; PAGE];

/// Copies `from`, from its beginning and at most `limit` bytes, to the empty file `to`; gives the size. Pages of zeros
/// become holes: whether the source has holes or zeros depends on whoever unpacked the image. `seen` gets every byte in
/// its order.
///
/// What is added to the file meanwhile is not copied; where it is cut off meanwhile, the copy ends.
pub fn copy(from: &File, to: &File, limit: u64, mut seen: impl FnMut(&[u8])) -> io::Result<u64> {
    let size = from.metadata()?.len().min(limit);
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while at < size {
        let data = next_data(from, at)?.map_or(size, |data| data.min(size));
        while at < data {
            let zeros = &ZEROS[..length(data - at).min(PAGE)];
            seen(zeros);
            at += zeros.len() as u64;
        }
        let wanted = length(size - at);
        let read = match from.read_at(&mut buffer[..wanted], at) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if read == 0 {
            break;
        }
        seen(&buffer[..read]);
        write_pages(to, &buffer[..read], at)?;
        at += read as u64;
    }
    to.set_len(at)?;
    Ok(at)
}

/// As much as fits into the buffer.
fn length(left: u64) -> usize {
    usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK))
}

/// Writes what is not zero; `at` is the start of a page.
pub(crate) fn write_pages(to: &File, data: &[u8], at: u64) -> io::Result<()> {
    for (page, offset) in data.chunks(PAGE).zip((at..).step_by(PAGE)) {
        if page != &ZEROS[..page.len()] {
            to.write_all_at(page, offset)?;
        }
    }
    Ok(())
}

/// Where data begins at or behind `at`; `None` if only a hole follows. A file system without holes has data everywhere.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    let offset = i64::try_from(at).map_err(io::Error::other)?;
    match lseek(file, offset, Whence::SeekData) {
        Ok(found) => Ok(u64::try_from(found).ok()),
        Err(Errno::ENXIO) => Ok(None),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(Some(at)),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;

    /// A file of the pieces, which are pages of one byte, zeros among them, and holes.
    fn file(pieces: &[Option<u8>], tail: usize) -> File {
        let file = tempfile::tempfile().unwrap();
        for (piece, offset) in pieces.iter().zip((0_u64..).step_by(PAGE)) {
            if let Some(byte) = piece {
                file.write_all_at(&[*byte; PAGE], offset).unwrap();
            }
        }
        let end = (pieces.len() * PAGE) as u64;
        file.write_all_at(&vec![7; tail], end).unwrap();
        file.set_len(end + tail as u64).unwrap();
        file
    }

    fn bytes(file: &File) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().len()).unwrap()];
        file.read_exact_at(&mut bytes, 0).unwrap();
        bytes
    }

    proptest! {
        #[test]
        fn a_copy_has_the_same_bytes(
            pieces in prop::collection::vec(prop::option::of(0_u8..2), 0..40),
            tail in 0..PAGE,
        ) {
            let (from, to) = (file(&pieces, tail), tempfile::tempfile().unwrap());
            let mut seen: Vec<u8> = Vec::new();
            let size = copy(&from, &to, u64::MAX, |bytes| seen.extend(bytes)).unwrap();
            prop_assert_eq!(size, from.metadata().unwrap().len());
            prop_assert!(bytes(&to) == bytes(&from) && seen == bytes(&from));
        }
    }

    #[test]
    fn zeros_and_holes_take_no_room() {
        let mut pieces = vec![None; 1000];
        pieces.extend([Some(0); 1000]);
        pieces[500] = Some(1);
        let (from, to) = (file(&pieces, 0), tempfile::tempfile().unwrap());
        copy(&from, &to, u64::MAX, |_| ()).unwrap();
        // A file system may take some for what it notes of the file.
        assert!(to.metadata().unwrap().blocks() * 512 <= 16 * PAGE as u64, "{:?}", to.metadata());
    }

    #[test]
    fn the_limit_ends_the_copy() {
        let (from, to) = (file(&[Some(1); 4], 0), tempfile::tempfile().unwrap());
        let limit = PAGE as u64 + 1;
        assert_eq!(copy(&from, &to, limit, |_| ()).unwrap(), limit);
        assert_eq!(bytes(&to), vec![1; PAGE + 1]);
    }
}
