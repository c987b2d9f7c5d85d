//! What a check has found.

use std::io;
use std::path::Path;

use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Worth to know; or it could not be seen.
    Note,
    /// Something does not work, or soon will not.
    Warning,
    /// Firmware does not run, or others can meddle with it.
    Error,
}

impl Level {
    /// Its word.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// How bad it is.
    pub(super) level: Level,
    /// What is so.
    pub(super) found: String,
    /// What to do; there is something to do unless all is well.
    pub(super) remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub(super) fn ok(found: impl AsRef<str>) -> Self {
        Self { level: Level::Ok, found: one_line(found.as_ref()), remedy: None }
    }

    /// Worth to know.
    pub(super) fn note(found: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self::bad(Level::Note, found, remedy)
    }

    /// Something does not work.
    pub(super) fn warning(found: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self::bad(Level::Warning, found, remedy)
    }

    /// Firmware does not run, or is in danger.
    pub(super) fn error(found: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self::bad(Level::Error, found, remedy)
    }

    /// Of this level, which is not [`Level::Ok`].
    pub(super) fn bad(level: Level, found: impl AsRef<str>, remedy: impl AsRef<str>) -> Self {
        Self { level, found: one_line(found.as_ref()), remedy: Some(one_line(remedy.as_ref())) }
    }

    /// A file that should be readable is not. Nothing is said about what it holds, nor that it is not there.
    pub(super) fn unread(path: &Path, error: &io::Error) -> Self {
        let found = format!("{} cannot be read: {error}", path.display());
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::note(found, "run `mica doctor` as root"),
            _ => Self::warning(found, "see what the kernel says about it: `dmesg`"),
        }
    }

    /// Several findings of one check as one: as bad as the worst, which alone are told; `fine` if all is well.
    pub(super) fn all(findings: Vec<Self>, fine: impl FnOnce() -> Self) -> Self {
        let Some(level) = findings.iter().map(|finding| finding.level).max().filter(|it| *it > Level::Ok)
        else {
            return fine();
        };
        let (mut found, mut remedies): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
        for finding in findings.into_iter().filter(|finding| finding.level > Level::Ok) {
            if !found.contains(&finding.found) {
                found.push(finding.found);
            }
            remedies.extend(finding.remedy.filter(|remedy| !remedies.contains(remedy)));
        }
        Self::bad(level, found.join("; "), remedies.join("; "))
    }
}

/// Files and programs have written parts of it: it is one line, and nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    let text = text.trim();
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_counts_and_all_that_is_bad_is_told() {
        let findings = vec![
            Finding::note("a", "do x"),
            Finding::ok("b"),
            Finding::error("c\u{1b}[2J", "do y"),
            Finding::warning("d", "do x"),
        ];
        let expected = Finding::error("a; c [2J; d", "do x; do y");
        assert_eq!(Finding::all(findings, || Finding::ok("fine")), expected);
        assert_eq!(Finding::all(vec![Finding::ok("a")], || Finding::ok("fine")), Finding::ok("fine"));
    }
}
