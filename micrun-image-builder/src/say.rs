//! What is said on stderr, as `--quiet` and `--verbose` ask. Each sentence is one line.

use std::fmt::Display;
use std::path::Path;
use std::sync::OnceLock;

use crate::sink;
use crate::text::printable;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Errors only.
    Quiet,
    /// What was done, and what the user should know.
    Usual,
    /// Each blob, too.
    Verbose,
}

static LEVEL: OnceLock<Level> = OnceLock::new();

/// Sets the level, once.
pub(crate) fn set(level: Level) {
    let _ = LEVEL.set(level);
}

fn at_least(level: Level) -> bool {
    *LEVEL.get().unwrap_or(&Level::Usual) >= level
}

#[cfg(feature = "registry")]
static HTTP: OnceLock<()> = OnceLock::new();

/// Names each request from now on, whatever the level.
#[cfg(feature = "registry")]
pub(crate) fn set_http() {
    let _ = HTTP.set(());
}

/// A line about a request.
#[cfg(feature = "registry")]
pub(crate) fn http(line: impl Display) {
    if HTTP.get().is_some() {
        eprintln!("{}", printable(&line.to_string()));
    }
}

/// Whether progress bars may be drawn.
#[cfg(feature = "registry")]
pub(crate) fn bars() -> bool {
    at_least(Level::Usual) && HTTP.get().is_none()
}

/// An error, which nothing suppresses.
pub(crate) fn error(sentence: impl Display) {
    eprintln!("error: {}", printable(&sentence.to_string()));
}

/// A sentence that `--quiet` suppresses.
pub(crate) fn usual(sentence: impl Display) {
    if at_least(Level::Usual) {
        eprintln!("{}", printable(&sentence.to_string()));
    }
}

/// What is left for stdout of a verb's result: nothing where the image itself goes there, and the text to stderr.
pub(crate) fn beside(output: &Path, text: String) -> String {
    if output == sink::STDOUT {
        eprint!("{text}");
        return String::new();
    }
    text
}

/// A sentence for `--verbose`.
pub(crate) fn verbose(sentence: impl Display) {
    if at_least(Level::Verbose) {
        eprintln!("{}", printable(&sentence.to_string()));
    }
}
