//! The table of cases and subjects.

use std::fmt::{self, Display, Formatter};

use crate::isolated::Outcome;
use crate::{Case, subjects};

/// A case and how it went on each of [`subjects::ALL`].
pub struct Row<'a> {
    /// The case.
    pub case: &'a Case,
    /// In the order of the subjects.
    pub results: Vec<Outcome>,
}

/// The whole.
pub struct Table<'a> {
    /// In the order of [`crate::cases::all`].
    pub rows: Vec<Row<'a>>,
}

impl Table<'_> {
    /// Whether nothing failed.
    pub fn is_good(&self) -> bool {
        self.count(|outcome| matches!(outcome, Outcome::Fail(_))) == 0
    }

    fn count(&self, what: fn(&Outcome) -> bool) -> usize {
        self.rows.iter().flat_map(|row| &row.results).filter(|outcome| what(outcome)).count()
    }
}

impl Display for Table<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.case.name.len()).max().unwrap_or_default();
        write!(f, "{:width$}", "case")?;
        for subject in subjects::ALL {
            write!(f, "  {:5}", subject.name())?;
        }
        writeln!(f)?;
        for row in &self.rows {
            write!(f, "{:width$}", row.case.name)?;
            for outcome in &row.results {
                write!(f, "  {:5}", word(outcome))?;
            }
            let reasons = row.results.iter().filter_map(|outcome| match outcome {
                Outcome::Skip(reason) => Some(*reason),
                _ => None,
            });
            writeln!(f, "  {}", reasons.collect::<Vec<_>>().join("; "))?;
        }
        for row in &self.rows {
            for (outcome, subject) in row.results.iter().zip(subjects::ALL) {
                if let Outcome::Fail(text) = outcome {
                    writeln!(f, "\n----- {} on {}\n{}", row.case.name, subject.name(), text.trim_end())?;
                }
            }
        }
        let passed = self.count(|outcome| matches!(outcome, Outcome::Pass));
        let failed = self.count(|outcome| matches!(outcome, Outcome::Fail(_)));
        let skipped = self.count(|outcome| matches!(outcome, Outcome::Skip(_)));
        writeln!(f, "\n{passed} passed, {failed} failed, {skipped} skipped")
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "PASS",
        Outcome::Skip(_) => "SKIP",
        Outcome::Fail(_) => "FAIL",
    }
}
