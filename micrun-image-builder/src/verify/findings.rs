//! What is wrong or doubtful about an image.

use std::fmt::Display;
use std::path::Path;

use serde::Serialize;

use crate::error::Error;
use crate::say;

/// The exit status of doubts alone, with `--strict`.
const DOUBTFUL: u8 = 7;
/// Exit statuses from the worst on: damage, what a shim refuses, what cannot be checked, what this machine cannot do.
const WORST_FIRST: [u8; 5] = [4, 3, 2, 6, 1];

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The image is damaged, or will not run.
    Error,
    /// It may do something else than it seems to, somewhere.
    Warning,
    /// Worth to know.
    Note,
}

/// Something that was found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    /// What it is about: an image's name, or a digest.
    pub(super) subject: String,
    /// A sentence.
    pub(super) message: String,
    /// The exit status of an error.
    #[serde(skip)]
    status: u8,
}

/// All that was found.
#[derive(Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    pub(super) fn error(&mut self, subject: impl Display, error: &Error) {
        self.add(Severity::Error, subject, error.with_causes(), error.exit_status());
    }

    /// Something that is against a specification.
    pub(super) fn violation(&mut self, subject: impl Display, message: impl Display) {
        self.add(Severity::Error, subject, message, 4);
    }

    pub(super) fn warning(&mut self, subject: impl Display, message: impl Display) {
        self.add(Severity::Warning, subject, message, DOUBTFUL);
    }

    pub(super) fn note(&mut self, subject: impl Display, message: impl Display) {
        self.add(Severity::Note, subject, message, 0);
    }

    /// Adds a finding, once.
    fn add(&mut self, severity: Severity, subject: impl Display, message: impl Display, status: u8) {
        let finding =
            Finding { severity, subject: subject.to_string(), message: message.to_string(), status };
        if !self.0.iter().any(|it| it.message == finding.message && it.severity <= severity) {
            self.0.push(finding);
        }
    }

    /// The worst first, otherwise in the order in which they were found.
    pub(super) fn sorted(&mut self) -> &[Finding] {
        self.0.sort_by_key(|it| it.severity);
        &self.0
    }

    fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|it| it.severity == severity).count()
    }

    /// Says each of them on stderr.
    pub(super) fn say(&mut self) {
        for Finding { severity, subject, message, .. } in self.sorted() {
            match severity {
                Severity::Error => say::error(format_args!("{subject}: {message}")),
                Severity::Warning => say::usual(format_args!("warning: {subject}: {message}")),
                Severity::Note => say::usual(format_args!("note: {subject}: {message}")),
            }
        }
    }

    /// Whether the image is in order. With `strict`, it is not if there are doubts.
    pub(super) fn verdict(&self, path: &Path, strict: bool) -> Result<(), Error> {
        let worst = WORST_FIRST
            .into_iter()
            .find(|status| self.0.iter().any(|it| it.severity == Severity::Error && it.status == *status));
        let doubtful = (strict && self.count(Severity::Warning) > 0).then_some(DOUBTFUL);
        let Some(status) = worst.or(doubtful) else { return Ok(()) };
        let counted = |severity, one: &str| match self.count(severity) {
            1 => format!("1 {one}"),
            n => format!("{n} {one}s"),
        };
        let count =
            format!("{}, {}", counted(Severity::Error, "error"), counted(Severity::Warning, "warning"));
        Err(Error::Findings { path: path.to_owned(), count, status })
    }
}
