//! Digests of a firmware and of its segments while it is read.

use std::io::{self, Read, Seek, SeekFrom};

use sha2::{Digest, Sha256};

use super::address::Address;
use super::content::SegmentContent;
use crate::elf::Segment;
use crate::{Error, MAX_FIRMWARE_SIZE, Result, Sha256Digest};

/// Bytes that are read at a time: they stay in the processor's cache while each digest takes them.
const PIECE: usize = 64 << 10;

/// What one pass over a firmware gives.
pub(super) struct Pass {
    /// The digest of the whole file.
    pub(super) sha256: Sha256Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    pub(super) segments: Vec<SegmentContent>,
}

impl Pass {
    /// Reads a file from its first byte to its last. Segments may lie in any order and share bytes.
    pub(super) fn over(reader: &mut impl Read, segments: &[Segment]) -> Result<Self> {
        let mut whole = Sha256::new();
        let mut running: Vec<Running<'_>> = segments.iter().map(Running::new).collect();
        let mut piece = vec![0; PIECE];
        let mut size: u64 = 0;
        let mut rest = reader.take(MAX_FIRMWARE_SIZE);
        loop {
            let read = match rest.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unread(error)),
            };
            let bytes = &piece[..read];
            whole.update(bytes);
            for segment in &mut running {
                segment.update(size, bytes);
            }
            size += read as u64;
        }
        let segments: Result<_> = running.into_iter().map(Running::finish).collect();
        Ok(Self { sha256: whole.into(), size, segments: segments? })
    }
}

/// Digests one segment, wherever the reader stands.
pub(super) fn digest(reader: &mut (impl Read + Seek), segment: &Segment) -> Result<SegmentContent> {
    reader.seek(SeekFrom::Start(segment.offset)).map_err(unread)?;
    let bytes = &mut reader.by_ref().take(segment.filesz.min(MAX_FIRMWARE_SIZE));
    let (sha256, read) = Sha256Digest::copy(bytes, &mut io::sink()).map_err(unread)?;
    content(segment, sha256, read)
}

/// A segment whose file is being read.
struct Running<'a> {
    segment: &'a Segment,
    hasher: Sha256,
    /// How many of its bytes have passed.
    read: u64,
}

impl<'a> Running<'a> {
    fn new(segment: &'a Segment) -> Self {
        Self { segment, hasher: Sha256::new(), read: 0 }
    }

    /// Takes what is the segment's of `bytes`, which stand in the file at `at`.
    fn update(&mut self, at: u64, bytes: &[u8]) {
        let Segment { offset, filesz, .. } = *self.segment;
        let place = |position: u64| {
            usize::try_from(position.saturating_sub(at)).map_or(bytes.len(), |it| it.min(bytes.len()))
        };
        let own = &bytes[place(offset)..place(offset.saturating_add(filesz))];
        self.hasher.update(own);
        self.read += own.len() as u64;
    }

    fn finish(self) -> Result<SegmentContent> {
        content(self.segment, self.hasher.into(), self.read)
    }
}

/// What is said of a segment of which `read` bytes were in the file.
fn content(segment: &Segment, sha256: Sha256Digest, read: u64) -> Result<SegmentContent> {
    if read != segment.filesz {
        return Err(Error::Changed { path: "the firmware".into() });
    }
    Ok(SegmentContent {
        filesz: segment.filesz,
        flags: segment.flags,
        memsz: segment.memsz,
        paddr: Address(segment.paddr),
        sha256,
        vaddr: Address(segment.vaddr),
    })
}

fn unread(error: io::Error) -> Error {
    Error::io("read", "the firmware", error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn segment(offset: u64, filesz: u64) -> Segment {
        Segment { offset, paddr: 0, vaddr: 0, filesz, memsz: filesz, flags: 0 }
    }

    /// Gives at most so many bytes at a time, as pipes and network file systems do.
    struct Little<R>(R, usize);

    impl<R: Read> Read for Little<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(self.1);
            self.0.read(&mut buffer[..most])
        }
    }

    proptest! {
        /// One pass says of each segment what reading it alone says, wherever it lies.
        #[test]
        fn one_pass_gives_the_digest_of_each_segment_alone(
            file in prop::collection::vec(any::<u8>(), 0..3000),
            places in prop::collection::vec((any::<u64>(), any::<u64>()), 0..5),
            at_once in 1_usize..1000,
        ) {
            let size = file.len() as u64;
            let segments: Vec<_> = places
                .into_iter()
                .map(|(start, length)| (start % (size + 1), length))
                .map(|(start, length)| segment(start, length % (size - start + 1)))
                .collect();
            let pass = Pass::over(&mut Little(file.as_slice(), at_once), &segments).unwrap();
            prop_assert_eq!((pass.size, pass.sha256), (size, Sha256Digest::of(&file)));
            let alone = segments.iter().map(|it| digest(&mut Cursor::new(&file), it).unwrap());
            prop_assert_eq!(pass.segments, alone.collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_segment_that_is_cut_off_is_a_changed_file() {
        for cut in [segment(90, 11), segment(200, 1), segment(u64::MAX, 1)] {
            let error = Pass::over(&mut [0; 100].as_slice(), &[cut]).err().unwrap();
            assert!(matches!(error, Error::Changed { .. }), "{error:?}");
        }
    }
}
