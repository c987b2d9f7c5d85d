//! The counters. Each is one of a few numbers with labels that are known beforehand, so that counting is one addition.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libmica::ext::{EXTENSIONS, ExitReason};

use crate::pedestal;

/// How long starts take, from the request until the firmware runs, by pedestal.
pub(crate) static STARTS: [Timings; pedestal::NAMES.len()] =
    [const { Timings::new() }; pedestal::NAMES.len()];
/// Starts that failed, by pedestal.
pub(crate) static START_FAILURES: Labelled<{ pedestal::NAMES.len() }> = Labelled::new(pedestal::NAMES);
/// Runs that have ended, by the reason of their report.
pub(crate) static EXITS: Labelled<{ ExitReason::ALL.len() }> = Labelled::new(exit_reasons());
/// Firmware that could not be ended.
pub(crate) static STOP_FAILURES: AtomicU64 = AtomicU64::new(0);
/// What became of firmware that ran when an earlier daemon ended.
pub(crate) static ADOPTIONS: Labelled<2> = Labelled::new([TAKEN_OVER, LOST]);
/// Connections that were refused before they asked anything, by the cause.
pub(crate) static REFUSED: Labelled<4> = Labelled::new([NOT_ALLOWED, TOO_MANY, PUSHED_OUT, SILENT]);
/// Commands that were done, and those that were not.
pub(crate) static DONE: Labelled<{ COMMANDS.len() }> = Labelled::new(COMMANDS);
pub(crate) static FAILED: Labelled<{ COMMANDS.len() }> = Labelled::new(COMMANDS);

/// Labels of [`ADOPTIONS`].
pub(crate) const TAKEN_OVER: &str = "taken_over";
pub(crate) const LOST: &str = "lost";

/// Labels of [`REFUSED`].
pub(crate) const NOT_ALLOWED: &str = "not_allowed";
pub(crate) const TOO_MANY: &str = "too_many";
pub(crate) const PUSHED_OUT: &str = "pushed_out";
pub(crate) const SILENT: &str = "silent";

/// What is asked for by a create message, and by what is no message at all.
pub(crate) const CREATE: &str = "create";
pub(crate) const INVALID: &str = "invalid";
/// What is no extension.
const BASE: [&str; 8] = [CREATE, "start", "stop", "rm", "status", "set", "gdb", INVALID];
/// All that can be asked for.
const COMMANDS: [&str; BASE.len() + EXTENSIONS.len()] = commands();

const fn commands() -> [&'static str; BASE.len() + EXTENSIONS.len()] {
    let mut words = [""; BASE.len() + EXTENSIONS.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = if at < BASE.len() { BASE[at] } else { EXTENSIONS[at - BASE.len()] };
        at += 1;
    }
    words
}

const fn exit_reasons() -> [&'static str; ExitReason::ALL.len()] {
    let mut words = [""; ExitReason::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = ExitReason::ALL[at].as_str();
        at += 1;
    }
    words
}

/// A counter for each of some labels.
pub(crate) struct Labelled<const N: usize> {
    labels: [&'static str; N],
    counts: [AtomicU64; N],
}

impl<const N: usize> Labelled<N> {
    const fn new(labels: [&'static str; N]) -> Self {
        Self { labels, counts: [const { AtomicU64::new(0) }; N] }
    }

    /// Counts one for `label`, which is one of its own.
    pub(crate) fn count(&self, label: &str) {
        let found = self.labels.iter().zip(&self.counts).find(|(known, _)| **known == label);
        debug_assert!(found.is_some(), "{label} is no label of this counter");
        if let Some((_, count)) = found {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// All labels with their counts.
    pub(crate) fn read(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.labels.into_iter().zip(&self.counts).map(|(label, count)| (label, count.load(Ordering::Relaxed)))
    }
}

/// Upper bounds of a start's time in seconds: a machine that waits takes some 5 ms, an ordinary one 60 ms on a PC and
/// seconds on a small board.
pub(crate) const BOUNDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// How often something took how long.
pub(crate) struct Timings {
    /// One more than there are bounds, for what took longer than all of them.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

impl Timings {
    const fn new() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BOUNDS.len() + 1], micros: AtomicU64::new(0) }
    }

    /// Something took so long.
    pub(crate) fn observe(&self, took: Duration) {
        let bucket = BOUNDS.iter().position(|bound| took.as_secs_f64() <= *bound).unwrap_or(BOUNDS.len());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
    }

    /// The sum in seconds, and how many are at or below each bound and above the one before.
    pub(crate) fn read(&self) -> (f64, Vec<(f64, u64)>) {
        let counts = self.buckets.iter().map(|count| count.load(Ordering::Relaxed));
        let buckets = BOUNDS.into_iter().chain([f64::INFINITY]).zip(counts).collect();
        (Duration::from_micros(self.micros.load(Ordering::Relaxed)).as_secs_f64(), buckets)
    }
}

/// How long starts on this pedestal take.
pub(crate) fn starts(pedestal: &str) -> Option<&'static Timings> {
    pedestal::NAMES.iter().zip(&STARTS).find(|(name, _)| **name == pedestal).map(|(_, timings)| timings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_the_bucket_of_the_first_bound_that_it_does_not_exceed() {
        let timings = Timings::new();
        for millis in [5, 6, 10, 60_000] {
            timings.observe(Duration::from_millis(millis));
        }
        let (sum, buckets) = timings.read();
        assert!((sum - 60.021).abs() < 1e-9, "{sum}");
        let counts: Vec<u64> = buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts[0], counts[1], counts[BOUNDS.len()]), (1, 2, 1));
        assert_eq!(counts.iter().sum::<u64>(), 4);
        assert_eq!(buckets.last().map(|(bound, _)| *bound), Some(f64::INFINITY));
    }

    #[test]
    fn labels_are_counted_apart() {
        let counter = Labelled::new(["a", "b"]);
        counter.count("b");
        counter.count("b");
        assert_eq!(counter.read().collect::<Vec<_>>(), [("a", 0), ("b", 2)]);
    }

    #[test]
    fn every_command_has_its_counter() {
        // A word that says nothing by itself.
        let whole = |text| if text == "attach" { "attach 0 start ro" } else { text };
        let all = ["start", "stop", "rm", "status", "set a b", "gdb"].into_iter().chain(EXTENSIONS);
        for text in all.map(whole) {
            let command = libmica::Command::decode(text.as_bytes()).unwrap();
            assert!(COMMANDS.contains(&command.name()), "{text}");
        }
    }
}
