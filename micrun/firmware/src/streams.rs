//! How a container is to get what its firmware says: whether every byte, and what goes into its stderr.

use std::fmt;
use std::str::FromStr;

use crate::text::quoted;

/// Longest name of a stream: that of an rpmsg endpoint (`RPMSG_NAME_SIZE`, with its NUL).
const MAX_NAME: usize = 31;

/// What happens when nobody takes a console's output as fast as the firmware makes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Delivery {
    /// The firmware waits.
    #[default]
    Lossless,
    /// The oldest bytes are lost, and counted.
    Lossy,
}

impl Delivery {
    const ALL: [(Self, &'static str); 2] = [(Self::Lossless, "lossless"), (Self::Lossy, "lossy")];
}

impl FromStr for Delivery {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|(_, word)| *word == text);
        found.map(|(it, _)| it).ok_or_else(|| format!("{} is neither lossless nor lossy", quoted(text)))
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.into_iter().find(|(it, _)| it == self).map_or("", |(_, word)| word))
    }
}

/// The name of a stream besides the console, as `mica status` has it: `trace0`, `rpmsg-tty1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamName(String);

impl StreamName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = (1..=MAX_NAME).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "{} is not the name of a stream; write one that `mica status` shows, such as trace0",
            quoted(text)
        ))
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for word in ["lossless", "lossy"] {
            assert_eq!(word.parse::<Delivery>().unwrap().to_string(), word);
        }
        assert!("Lossy".parse::<Delivery>().unwrap_err().contains("neither lossless nor lossy"));
        for name in ["trace0", "rpmsg-tty1"] {
            assert_eq!(name.parse::<StreamName>().unwrap().to_string(), name);
        }
        for bad in ["", "a b", "../x", "x(y)", &"n".repeat(32)] {
            assert!(bad.parse::<StreamName>().unwrap_err().contains("is not the name of a stream"));
        }
    }
}
