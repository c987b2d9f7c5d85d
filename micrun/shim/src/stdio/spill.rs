//! A bounded buffer for output that nobody takes yet.

use std::collections::VecDeque;

/// Memory that an empty buffer keeps.
const KEEP: usize = 64 * 1024;

/// Bytes in order of arrival, at most `limit` of them.
#[derive(Debug)]
pub(super) struct Spill {
    bytes: VecDeque<u8>,
    limit: usize,
}

impl Spill {
    /// An empty buffer, which takes no memory until it is used.
    pub(super) fn new(limit: usize) -> Self {
        Self { bytes: VecDeque::new(), limit }
    }

    /// How many bytes are in it.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many more fit.
    pub(super) fn room(&self) -> usize {
        self.limit - self.bytes.len()
    }

    /// Adds `bytes`, which are no more than `limit`. What does not fit displaces the oldest; gives how many.
    pub(super) fn push(&mut self, bytes: &[u8]) -> usize {
        let displaced = bytes.len().saturating_sub(self.room());
        self.bytes.drain(..displaced);
        self.bytes.extend(bytes);
        displaced
    }

    /// The oldest bytes, as many as lie together.
    pub(super) fn front(&self) -> &[u8] {
        self.bytes.as_slices().0
    }

    /// Takes the oldest away.
    pub(super) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count);
        if self.bytes.is_empty() {
            self.bytes.shrink_to(KEEP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_the_oldest_give_way() {
        let mut spill = Spill::new(8);
        assert_eq!(spill.push(b"abcdef"), 0);
        spill.consume(2);
        assert_eq!((spill.len(), spill.room()), (4, 4));
        assert_eq!(spill.push(b"ghij"), 0);
        assert_eq!(spill.push(b"klm"), 3);
        let mut rest: Vec<u8> = Vec::new();
        while !spill.is_empty() {
            rest.extend(spill.front());
            spill.consume(spill.front().len());
        }
        assert_eq!(rest, b"fghijklm");
    }

    #[test]
    fn an_emptied_buffer_gives_its_memory_back() {
        let mut spill = Spill::new(1 << 20);
        spill.push(&vec![0; 1 << 20]);
        spill.consume(1 << 20);
        assert!(spill.bytes.capacity() <= 2 * KEEP, "{}", spill.bytes.capacity());
    }
}
