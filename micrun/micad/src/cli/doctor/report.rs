//! The report, for people or as JSON.

use std::io::Write;

use serde::Serialize;

use super::finding::{Finding, Level};
use super::host::Host;
use super::table::CHECKS;

/// A line of the report.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    /// The check's name.
    pub(super) check: &'static str,
    /// What it has found.
    #[serde(flatten)]
    pub(super) finding: Finding,
}

/// What all checks have found.
pub(super) struct Report(pub(super) Vec<Line>);

impl Report {
    /// Runs all checks.
    pub(super) fn of(host: &Host) -> Self {
        Self(CHECKS.iter().map(|check| Line { check: check.name, finding: (check.look)(host) }).collect())
    }

    /// The worst of them.
    pub(super) fn level(&self) -> Level {
        self.0.iter().map(|line| line.finding.level).max().unwrap_or(Level::Ok)
    }

    /// A line for each check, below a heading for each group, and a sum.
    pub(super) fn text(&self, colours: bool, out: &mut impl Write) -> std::io::Result<()> {
        let mut group = "";
        for Line { check, finding: Finding { level, found, remedy } } in &self.0 {
            let (of, name) = check.split_once('.').unwrap_or((check, check));
            if of != group {
                writeln!(out, "{of}")?;
                group = of;
            }
            let (on, off) = if colours { (colour(*level), "\u{1b}[0m") } else { ("", "") };
            writeln!(out, "  {on}{:<8}{off} {name:<13} {found}", level.as_str())?;
            if let Some(remedy) = remedy {
                writeln!(out, "{:25}-> {remedy}", "")?;
            }
        }
        let count = |level: Level| self.0.iter().filter(|line| line.finding.level == level).count();
        let (errors, warnings, notes) = (count(Level::Error), count(Level::Warning), count(Level::Note));
        writeln!(out, "{} checks; errors: {errors}, warnings: {warnings}, notes: {notes}", self.0.len())
    }
}

/// Green, cyan, yellow, red.
const fn colour(level: Level) -> &'static str {
    match level {
        Level::Ok => "\u{1b}[32m",
        Level::Note => "\u{1b}[36m",
        Level::Warning => "\u{1b}[33m",
        Level::Error => "\u{1b}[31m",
    }
}
