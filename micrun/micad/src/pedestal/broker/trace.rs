//! A text in the firmware's memory to which it adds, as Linux's remoteproc shows it in a file (`trace0`): up to the first
//! zero byte, or to the end of the buffer.
//!
//! Nothing tells that there is more, nor where the firmware writes next. The file is looked at again and again, and what is
//! new follows from what it was before: some firmware stops when its buffer is full, some begins at its front anew with a zero
//! byte behind (ST's), some goes round and leaves the old text where it was (TI's).

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::terminal::Got;

/// Most bytes of a buffer.
const MOST: usize = 1 << 20;
/// The pauses between two looks: the first after something has come, and the longest. A look is one system call, of which the
/// firmware notices nothing.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// A trace buffer.
pub(super) struct Trace {
    file: File,
    /// What it was at the last look.
    seen: Vec<u8>,
    /// Where the firmware writes next, as far as that shows.
    at: usize,
    /// What is new and was not taken.
    news: VecDeque<u8>,
    pause: Duration,
    next: Instant,
}

impl Trace {
    /// The buffer behind this file, all of which is new.
    pub(super) fn new(file: File) -> Self {
        let (seen, news) = (Vec::new(), VecDeque::new());
        Self { file, seen, at: 0, news, pause: PAUSE.0, next: Instant::now() }
    }

    /// It is in that file from now on.
    pub(super) fn goes_on_in(&mut self, other: Self) {
        (self.file, self.next) = (other.file, other.next);
    }

    /// When there is something to do.
    pub(super) fn due_in(&self) -> Duration {
        if self.news.is_empty() {
            self.next.saturating_duration_since(Instant::now())
        } else {
            Duration::ZERO
        }
    }

    /// Takes what is new.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Got {
        if self.news.is_empty() {
            self.look();
        }
        let count = self.news.len().min(buffer.len());
        for (to, byte) in buffer.iter_mut().zip(self.news.drain(..count)) {
            *to = byte;
        }
        if count == 0 { Got::NothingYet } else { Got::Bytes(count) }
    }

    fn look(&mut self) {
        // When the kernel has stopped the remoteproc, it can be read no more: the daemon has a copy, or says that it is over.
        if let Some(now) = read(&self.file) {
            let (news, at) = news(&self.seen, self.at, &now);
            self.news.extend(news);
            (self.seen, self.at) = (now, at);
        }
        self.pause = if self.news.is_empty() { (self.pause * 2).min(PAUSE.1) } else { PAUSE.0 };
        self.next = Instant::now() + self.pause;
    }
}

fn read(file: &File) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while bytes.len() < MOST {
        let have = bytes.len();
        bytes.resize(have + 4096, 0);
        let count = file.read_at(&mut bytes[have..], have as u64).ok()?;
        bytes.truncate(have + count);
        if count == 0 {
            break;
        }
    }
    Some(bytes)
}

/// What has come since the buffer was `seen`, when the firmware was to write `at` next; and where it is to write now.
fn news(seen: &[u8], at: usize, now: &[u8]) -> (Vec<u8>, usize) {
    let last_change = seen.iter().zip(now).rposition(|(before, after)| before != after);
    match last_change {
        None if now.len() >= seen.len() => (now[seen.len()..].to_vec(), now.len()),
        // A full one, in which it goes round.
        Some(_) if now.len() == seen.len() => {
            let length = now.len();
            let round = |n: usize| (at + n) % length;
            let last = (0..length).rev().find(|n| seen[round(*n)] != now[round(*n)]).unwrap_or(0);
            ((0..=last).map(|n| now[round(n)]).collect(), round(last + 1))
        }
        // It has become full meanwhile: what was at the back is there as before.
        Some(last) if now.len() > seen.len() && last < seen.len() / 2 => {
            ([&now[seen.len()..], &now[..=last]].concat(), last + 1)
        }
        // It was begun anew.
        _ => (now.to_vec(), now.len()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// What is taken of a buffer with one look at each of these.
    fn taken(looks: &[&str]) -> String {
        let (mut seen, mut at, mut all) = (Vec::new(), 0, Vec::new());
        for now in looks {
            let (bytes, next) = news(&seen, at, now.as_bytes());
            all.extend(bytes);
            (seen, at) = (now.as_bytes().to_vec(), next);
        }
        String::from_utf8(all).unwrap()
    }

    #[test]
    fn what_is_added_is_new_and_nothing_else() {
        assert_eq!(taken(&["", "one", "one", "onetwo", "onetwo"]), "onetwo");
    }

    #[test]
    fn a_text_that_begins_anew_with_a_zero_behind_is_new() {
        assert_eq!(taken(&["abcdef", "gh", "ghi"]), "abcdefghi");
        assert_eq!(taken(&["abcdef", "", "g"]), "abcdefg");
        // As far as before, or further.
        assert_eq!(taken(&["abcd", "efgh"]), "abcdefgh");
        assert_eq!(taken(&["abcd", "efghi"]), "abcdefghi");
    }

    #[test]
    fn a_text_that_goes_round_is_taken_in_its_order() {
        // Of eight bytes: full, round once, and over the end again.
        assert_eq!(taken(&["abcdefgh", "ijcdefgh", "ijklmnop", "qrslmnop"]), "abcdefghijklmnopqrs");
        assert_eq!(taken(&["abcdef", "ijcdefgh", "ijklmngh", "qrklmnop"]), "abcdefghijklmnopqr");
    }

    #[test]
    fn a_file_is_read_as_it_grows_and_a_copy_of_it_has_the_rest() {
        let file = tempfile::tempfile().unwrap();
        let mut trace = Trace::new(file.try_clone().unwrap());
        let mut all = Vec::new();
        let mut take = |trace: &mut Trace| {
            let mut bytes = [0; 3];
            while let Got::Bytes(count) = trace.read(&mut bytes) {
                all.extend(&bytes[..count]);
            }
            String::from_utf8(all.clone()).unwrap()
        };
        assert_eq!(take(&mut trace), "");
        file.write_all_at(b"hello", 0).unwrap();
        assert_eq!(take(&mut trace), "hello");
        let copy = tempfile::tempfile().unwrap();
        copy.write_all_at(b"hello, end", 0).unwrap();
        trace.goes_on_in(Trace::new(copy));
        assert_eq!((take(&mut trace).as_str(), trace.pause > PAUSE.0), ("hello, end", true));
    }
}
