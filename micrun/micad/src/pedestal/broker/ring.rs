//! The latest bytes of a console, and when they came.
//!
//! A ring is one file, which has its place on a tmpfs or on a disk and outlives whoever writes it:
//!
//! | what | bytes |
//! |---|---|
//! | [`MAGIC`], the ring's size, bytes ever, stamps ever, bytes lost | 8 each |
//! | nothing, up to [`HEADER`] | |
//! | the bytes: the one with position `p` is at `p` modulo the size | the size |
//! | the stamps, in the same way: position and time, for each that begins [`STAMP_SPAN`] after the one before | 16 each |
//!
//! A header is written after what it tells, so a reader that comes with the writer's death finds no more than there is.
//! Without a file, or when its disk is full, the ring is a small one in memory.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

/// Another layout gets another word.
const MAGIC: [u8; 8] = *b"mica-rg1";
/// Where the number of lost bytes is.
const LOST: u64 = 32;
/// Where the bytes begin.
const HEADER: u64 = 64;
/// One stamp for so many bytes at most: 16 of the file for 64 of the console.
const BYTES_PER_STAMP: u64 = 64;
const STAMP: u64 = 16;
/// Nanoseconds for which bytes count as come together.
const STAMP_SPAN: u64 = 10_000_000;
/// The size of a ring in memory.
const IN_MEMORY: u64 = 32 << 10;

/// When bytes came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The position of the first of them.
    pub(super) position: u64,
    /// In nanoseconds since 1970.
    pub(super) time: u64,
}

enum Store {
    File(File),
    Memory(RefCell<Vec<u8>>),
}

/// A ring.
pub(super) struct Ring {
    store: Store,
    size: u64,
    /// Bytes that have ever come.
    head: u64,
    /// Stamps that were ever made.
    stamps: u64,
    /// The latest.
    newest: Stamp,
    /// Bytes that somebody who reads has not got.
    lost: u64,
    /// What comes before is not there, whatever the size.
    floor: u64,
}

/// The most bytes that a ring of this size takes of a file.
pub(super) fn file_size(size: u64) -> u64 {
    HEADER + size + size / BYTES_PER_STAMP * STAMP
}

/// What the file of a ring tells: the bytes that ever came, and those that somebody who reads has not got.
pub(super) fn counts(file: &File) -> io::Result<(u64, u64)> {
    Ring::open(file.try_clone()?).map(|ring| (ring.head, ring.lost))
}

/// The latest bytes that the file of a ring has, no more than so many.
pub(super) fn tail(file: File, most: usize) -> io::Result<Vec<u8>> {
    let ring = Ring::open(file)?;
    let from = ring.oldest().max(ring.head.saturating_sub(most as u64));
    let mut bytes = vec![0; most];
    let count = ring.read(from, &mut bytes);
    bytes.truncate(count);
    Ok(bytes)
}

/// Makes an empty file a ring.
pub(super) fn format(file: &File, size: u64) -> io::Result<()> {
    let header = [u64::from_le_bytes(MAGIC), size, 0, 0, 0];
    file.write_all_at(&header.map(u64::to_le_bytes).concat(), 0)
}

impl Ring {
    /// That in a file, which may have been written by somebody else.
    pub(super) fn open(file: File) -> io::Result<Self> {
        let mut header = [0; 40];
        file.read_exact_at(&mut header, 0)?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| header[at * 8 + i]));
        let (size, head, stamps, lost) = (word(1), word(2), word(3), word(4));
        if header[..8] != MAGIC || size < BYTES_PER_STAMP {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut ring =
            Self { store: Store::File(file), size, head, stamps, newest: Stamp::default(), lost, floor: 0 };
        if stamps > 0 {
            ring.newest = ring.stamp(stamps - 1)?;
        }
        Ok(ring)
    }

    /// An empty one in memory.
    pub(super) fn in_memory() -> Self {
        Self {
            store: Store::Memory(RefCell::default()),
            size: IN_MEMORY,
            head: 0,
            stamps: 0,
            newest: Stamp::default(),
            lost: 0,
            floor: 0,
        }
    }

    /// The position of the byte that comes next.
    pub(super) fn head(&self) -> u64 {
        self.head
    }

    /// The position of the oldest byte that is there.
    pub(super) fn oldest(&self) -> u64 {
        self.head.saturating_sub(self.size).max(self.floor)
    }

    /// How many bytes may come before that with this position is no more.
    pub(super) fn room_before(&self, position: u64) -> u64 {
        (position + self.size).saturating_sub(self.head)
    }

    /// Counts bytes that somebody who reads has not got.
    pub(super) fn lose(&mut self, count: u64) {
        if count > 0 {
            self.lost += count;
            // Where that fails, the next byte that comes shows it.
            let _ = self.store.write(&self.lost.to_le_bytes(), LOST);
        }
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, bytes: &[u8]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_nanos());
        self.append_at(bytes, u64::try_from(now).unwrap_or(u64::MAX));
    }

    fn append_at(&mut self, bytes: &[u8], now: u64) {
        let (head, stamps, newest) = (self.head, self.stamps, self.newest);
        if self.try_append(bytes, now).is_ok() {
            return;
        }
        // Memory takes everything. Where the bytes before it are, nothing can be trusted any more.
        self.store = Store::Memory(RefCell::default());
        (self.size, self.floor) = (IN_MEMORY, head);
        (self.head, self.stamps, self.newest) = (head, stamps, newest);
        let _ = self.try_append(bytes, now);
    }

    fn try_append(&mut self, bytes: &[u8], now: u64) -> io::Result<()> {
        let (mut position, mut rest) = (self.head, bytes);
        while !rest.is_empty() {
            let at = position % self.size;
            let count = rest.len().min(usize::try_from(self.size - at).unwrap_or(usize::MAX));
            self.store.write(&rest[..count], HEADER + at)?;
            position += count as u64;
            rest = &rest[count..];
        }
        // A clock that was put back begins a new stamp as well.
        if self.stamps == 0 || now.wrapping_sub(self.newest.time) >= STAMP_SPAN {
            let stamp = Stamp { position: self.head, time: now };
            self.store
                .write(&[stamp.position, now].map(u64::to_le_bytes).concat(), self.stamp_at(self.stamps))?;
            (self.stamps, self.newest) = (self.stamps + 1, stamp);
        }
        self.head = position;
        self.store.write(&[self.head, self.stamps, self.lost].map(u64::to_le_bytes).concat(), 16)
    }

    /// Reads bytes from `position` on, which is there, into `buffer`; gives how many.
    pub(super) fn read(&self, position: u64, buffer: &mut [u8]) -> usize {
        let wanted = buffer.len().min(usize::try_from(self.head - position).unwrap_or(usize::MAX));
        let at = position % self.size;
        let first = wanted.min(usize::try_from(self.size - at).unwrap_or(usize::MAX));
        let (one, two) = buffer[..wanted].split_at_mut(first);
        let read = self.store.read(one, HEADER + at).and_then(|()| self.store.read(two, HEADER));
        if read.is_err() {
            // Nobody can read it any more; what it said is not known.
            buffer[..wanted].fill(b'?');
        }
        wanted
    }

    /// When the byte at `position` came, and the position where the next stamp begins.
    pub(super) fn when(&self, position: u64) -> (u64, u64) {
        if position >= self.newest.position {
            return (self.newest.time, u64::MAX);
        }
        // Between the latest that begins before, and the first that begins behind.
        let (mut low, mut high) = (self.stamps.saturating_sub(self.size / BYTES_PER_STAMP), self.stamps - 1);
        while low + 1 < high {
            let middle = low.midpoint(high);
            match self.stamp(middle) {
                Ok(stamp) if stamp.position <= position => low = middle,
                _ => high = middle,
            }
        }
        let [before, behind] = [low, high].map(|number| self.stamp(number).unwrap_or(self.newest));
        // Older than all stamps that are there: it came before the first of them.
        if before.position > position {
            return (before.time, before.position);
        }
        (before.time, behind.position.max(position + 1))
    }

    fn stamp_at(&self, number: u64) -> u64 {
        HEADER + self.size + number % (self.size / BYTES_PER_STAMP) * STAMP
    }

    fn stamp(&self, number: u64) -> io::Result<Stamp> {
        let mut bytes = [0; 16];
        self.store.read(&mut bytes, self.stamp_at(number))?;
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at * 8 + i]));
        Ok(Stamp { position: word(0), time: word(1) })
    }
}

impl Store {
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(bytes, at),
            Self::Memory(memory) => {
                let (at, mut memory) = (usize::try_from(at).unwrap_or(usize::MAX), memory.borrow_mut());
                if memory.len() < at + bytes.len() {
                    memory.resize(at + bytes.len(), 0);
                }
                memory[at..at + bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.read_exact_at(bytes, at),
            Self::Memory(memory) => {
                let (at, memory) = (usize::try_from(at).unwrap_or(usize::MAX), memory.borrow());
                let found = memory.get(at..at + bytes.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
                bytes.copy_from_slice(found);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn on_file(size: u64) -> (File, Ring) {
        let file = tempfile::tempfile().unwrap();
        format(&file, size).unwrap();
        (file.try_clone().unwrap(), Ring::open(file).unwrap())
    }

    fn all(ring: &Ring) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(ring.head() - ring.oldest()).unwrap()];
        assert_eq!(ring.read(ring.oldest(), &mut bytes), bytes.len());
        bytes
    }

    #[test]
    fn the_latest_bytes_are_there_however_they_came() {
        let text: Vec<u8> = (0..1000_u32).map(|n| n.to_le_bytes()[0]).collect();
        for step in [1, 7, 64, 127, 128, 300, 1000] {
            let (file, mut ring) = on_file(128);
            text.chunks(step).for_each(|part| ring.append(part));
            assert_eq!((ring.head(), ring.oldest()), (1000, 872), "{step}");
            assert_eq!(all(&ring), text[872..], "{step}");
            assert_eq!(tail(file.try_clone().unwrap(), 100).unwrap(), text[900..]);
            assert_eq!(tail(file.try_clone().unwrap(), 500).unwrap(), text[872..]);
            let again = Ring::open(file.try_clone().unwrap()).unwrap();
            assert_eq!((again.head(), all(&again)), (1000, text[872..].to_vec()));
            assert!(file.metadata().unwrap().len() <= file_size(128));
        }
    }

    #[test]
    fn what_is_lost_is_told_at_once() {
        let (file, mut ring) = on_file(128);
        ring.append(b"some");
        ring.lose(3);
        assert_eq!(counts(&file).unwrap(), (4, 3));
        ring.append(b"more");
        assert_eq!(counts(&file).unwrap(), (8, 3));
    }

    #[test]
    fn each_byte_has_its_time() {
        let (_, mut ring) = on_file(640);
        for second in 0..30_u64 {
            ring.append_at(b"tick\n", second * 1_000_000_000);
            ring.append_at(b"tock\n", second * 1_000_000_000 + STAMP_SPAN - 1);
        }
        // Ten stamps are there.
        for second in 20..30 {
            let (time, until) = ring.when(second * 10 + 7);
            assert_eq!(time, second * 1_000_000_000);
            assert_eq!(until, if second == 29 { u64::MAX } else { second * 10 + 10 });
        }
        assert_eq!(ring.when(3), (20 * 1_000_000_000, 200));
    }

    #[test]
    fn a_full_disk_costs_what_was_there_and_not_what_comes() {
        let full = std::fs::OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let (_, ring) = on_file(128);
        let mut ring = Ring { store: Store::File(full), head: 5, ..ring };
        ring.append(b"later");
        assert_eq!((ring.oldest(), all(&ring)), (5, b"later".to_vec()));
    }

    #[test]
    fn what_is_no_ring_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Ring::open(file.try_clone().unwrap()).is_err());
        file.write_all_at(&[7; 200], 0).unwrap();
        assert!(Ring::open(file).is_err());
    }
}
