//! What is known of a client where it was created, for the lines of a log: names and values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most of them.
const MOST: usize = 16;
/// What a line has by itself.
const TAKEN: [&str; 4] = ["time", "level", "msg", "client"];
/// Longest name and longest value, in bytes.
const MAX_KEY: usize = 32;
const MAX_VALUE: usize = 512;

/// Fields of log lines: `container`, `namespace`, `pod`, `image`, `firmware`, and what else there may be. Whoever reads
/// them from a document gets those that [`Labels::add`] takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Longest document of labels, in bytes.
    pub const MAX_LEN: u64 = 16 << 10;

    /// Adds one. What cannot be one is left out: a name of other characters than `a` to `z` and `_` or one that a line has
    /// by itself, an empty value, one that is too long, and one that a terminal would act on.
    pub fn add(&mut self, key: &str, value: &str) {
        let is_key = !key.is_empty()
            && !TAKEN.contains(&key)
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let fits = key.len() <= MAX_KEY && value.len() <= MAX_VALUE && self.0.len() < MOST;
        if is_key && fits && !value.is_empty() && !value.chars().any(char::is_control) {
            self.0.insert(key.to_owned(), value.to_owned());
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<BTreeMap<String, String>> for Labels {
    fn from(all: BTreeMap<String, String>) -> Self {
        let mut labels = Self::default();
        for (key, value) in all {
            labels.add(&key, &value);
        }
        labels
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        labels.0
    }
}

impl IntoIterator for Labels {
    type Item = (String, String);
    type IntoIter = std::collections::btree_map::IntoIter<String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn what_would_spoil_a_line_is_no_label() {
        let mut labels = Labels::default();
        for (key, value) in
            [("", "a"), ("Pod", "a"), ("msg", "a"), ("pod", ""), ("pod", "a\nb"), ("pod", "\u{1b}[2J")]
        {
            labels.add(key, value);
        }
        labels.add("pod", &"x".repeat(MAX_VALUE + 1));
        assert!(labels.is_empty());
        for key in 'a'..='z' {
            labels.add(&key.to_string(), "é x");
        }
        assert_eq!(labels.0.len(), MOST);
        let document = serde_json::to_vec(&labels).unwrap();
        assert_eq!(serde_json::from_slice::<Labels>(&document).unwrap(), labels);
        assert!(serde_json::from_slice::<Labels>(b"[]").is_err());
        assert!(serde_json::from_slice::<Labels>(br#"{"Pod":"a"}"#).unwrap().is_empty());
    }
}
