//! Lists of names with wildcards, as policies have them.

use std::fmt;
use std::str::FromStr;

use crate::text::quoted;

/// The most patterns of a list.
const MOST: usize = 256;
/// The longest pattern, in bytes.
const LONGEST: usize = 128;
/// The word for a list that allows nothing.
const NONE: &str = "none";
/// The pattern that every name fits.
const ANY: &str = "*";

/// A list of names, in which `*` stands for any text and `?` for any one character.
///
/// Its text separates them by blanks or commas. `none` is the list without names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns(Vec<String>);

impl Patterns {
    /// The list that allows every name.
    pub fn any() -> Self {
        Self(vec![ANY.to_owned()])
    }

    /// The list of exactly these.
    pub fn of(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }

    /// Whether a pattern fits `name`.
    pub fn allows(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| fits(pattern.as_bytes(), name.as_bytes()))
    }

    /// Whether every name is allowed, so that none has to be said.
    pub fn allows_all(&self) -> bool {
        self.0.iter().any(|pattern| pattern == ANY)
    }

    /// The patterns.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

/// Never slower than the product of the lengths: only the last `*` is ever tried again.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    let mut retry = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, seen));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((behind_star, from)) = retry else { return false };
                retry = Some((behind_star, from + 1));
                (at, seen) = (behind_star, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

impl FromStr for Patterns {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text
            .split(|c: char| c == ',' || c.is_ascii_whitespace())
            .filter(|word| !word.is_empty())
            .collect();
        match words[..] {
            [] => return Err(format!("the list is empty; write {NONE} to allow nothing, or omit the key")),
            [NONE] => return Ok(Self(Vec::new())),
            _ => {}
        }
        if words.len() > MOST {
            return Err(format!("the list has {} names, more than the {MOST} allowed", words.len()));
        }
        if let Some(wrong) = words.iter().find(|word| !is_pattern(word)) {
            return Err(format!(
                "{} is not a name or a pattern; use letters, digits, * ? - _ . @ : and /",
                quoted(wrong)
            ));
        }
        if words.contains(&NONE) {
            return Err(format!("{NONE} stands alone, or it is not written"));
        }
        Ok(Self::of(words))
    }
}

fn is_pattern(word: &str) -> bool {
    let clean = |byte: u8| byte.is_ascii_alphanumeric() || b"*?-_.@:/".contains(&byte);
    word.len() <= LONGEST && word.bytes().all(clean)
}

impl fmt::Display for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { f.write_str(NONE) } else { f.write_str(&self.0.join(", ")) }
    }
}
