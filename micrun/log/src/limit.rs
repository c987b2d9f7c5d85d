//! How many lines a subject may cause: a firmware, or whoever controls it, must not flood the host's log.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Lines at once. What an operator has a client do is far less.
const BURST: u32 = 200;
/// After that, one line in this time.
const REFILL: Duration = Duration::from_millis(100);

/// What subjects have caused lately.
#[derive(Debug, Default)]
pub struct Limits {
    /// Those that have not come to rest.
    subjects: BTreeMap<String, Bucket>,
}

/// A bucket of tokens, one for each line.
#[derive(Debug)]
struct Bucket {
    tokens: u32,
    /// When the last token came in.
    filled: Instant,
    /// Lines that were left out since the last one that was not.
    left_out: u64,
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let due = now.saturating_duration_since(self.filled).as_nanos() / REFILL.as_nanos();
        let due = u32::try_from(due).unwrap_or(u32::MAX);
        self.tokens = self.tokens.saturating_add(due).min(BURST);
        self.filled = if self.tokens == BURST { now } else { self.filled + REFILL * due };
    }
}

impl Limits {
    /// Whether a line that this subject causes may be written.
    pub fn admit(&mut self, subject: &str, now: Instant) -> bool {
        let full = || Bucket { tokens: BURST, filled: now, left_out: 0 };
        if !self.subjects.contains_key(subject) {
            self.subjects.insert(subject.to_owned(), full());
        }
        let Some(bucket) = self.subjects.get_mut(subject) else { return true };
        bucket.refill(now);
        match bucket.tokens.checked_sub(1) {
            Some(rest) => bucket.tokens = rest,
            None => bucket.left_out += 1,
        }
        bucket.left_out == 0
    }

    /// Subjects of which lines were left out and may be written again, and how many those were. Forgets who is at rest.
    pub fn settle(&mut self, now: Instant) -> Vec<(String, u64)> {
        let mut told = Vec::new();
        self.subjects.retain(|subject, bucket| {
            bucket.refill(now);
            if bucket.left_out > 0 && bucket.tokens > 0 {
                bucket.tokens -= 1;
                told.push((subject.clone(), std::mem::take(&mut bucket.left_out)));
            }
            bucket.tokens < BURST
        });
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_told_and_harms_nobody_else() {
        let (mut limits, begin) = (Limits::default(), Instant::now());
        let admitted = (0..1000).filter(|_| limits.admit("loud", begin)).count();
        assert_eq!(admitted, BURST as usize);
        assert!(limits.admit("quiet", begin));
        assert!(limits.settle(begin).is_empty());
        let later = begin + REFILL * 2;
        assert_eq!(limits.settle(later), [("loud".to_owned(), 800)]);
        assert!(limits.admit("loud", later));
        assert!(!limits.admit("loud", later));
        let much_later = later + REFILL * 1000;
        assert_eq!(limits.settle(much_later), [("loud".to_owned(), 1)]);
        assert!(limits.settle(much_later + REFILL).is_empty());
        assert!(limits.subjects.is_empty());
    }
}
