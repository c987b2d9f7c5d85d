//! Times of the same thing.

use std::fmt;
use std::time::{Duration, Instant};

/// Times, in the order in which they were taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    /// Takes the time of something.
    pub(crate) fn time<T>(&mut self, what: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = what();
        self.0.push(start.elapsed());
        result
    }

    /// Adds up the times of the same round.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, another)| *one + *another).collect())
    }

    /// Median and longest, in milliseconds.
    pub(crate) fn with_longest(&self) -> String {
        format!("{:.1} / {:.1}", self.median(), self.rank(100))
    }

    /// The median, in milliseconds.
    pub(crate) fn median(&self) -> f64 {
        self.rank(50)
    }

    fn rank(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let index = (sorted.len() * percent / 100).min(sorted.len() - 1);
        sorted[index].as_secs_f64() * 1000.0
    }
}

/// Median and 95th percentile, in milliseconds.
impl fmt::Display for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} / {:.1}", self.median(), self.rank(95))
    }
}
