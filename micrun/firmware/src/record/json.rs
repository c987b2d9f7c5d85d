//! The form that a change has in a record's JSON.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::content::{Change, Content, ElfContent};
use crate::Sha256Digest;
use crate::changes::ByteRange;
use crate::text::serde_as_text;

/// Permission bits. A string of four octal digits in JSON (`"0644"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mode(u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        u32::from_str_radix(text, 8).map(Self).map_err(|_| format!("{text:?} is not a mode such as \"0644\""))
    }
}

serde_as_text!(Mode);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    Add,
    Replace,
    Delete,
}

/// [`Change`] with its fields side by side, in the order of their names.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChange {
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<ByteRange>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    elf: Option<ElfContent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<Mode>,
    op: Op,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256_after: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256_before: Option<Sha256Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

impl From<Change> for RawChange {
    fn from(change: Change) -> Self {
        let sha256_before = change.before();
        let (op, content) = match change {
            Change::Add(content) => (Op::Add, Some(content)),
            Change::Replace { content, .. } => (Op::Replace, Some(content)),
            Change::Delete { .. } => (Op::Delete, None),
        };
        Self {
            mode: content.as_ref().map(|content| Mode(content.mode)),
            op,
            sha256_after: content.as_ref().map(|content| content.sha256),
            sha256_before,
            size: content.as_ref().map(|content| content.size),
            changes: content.as_ref().and_then(|content| content.changes.clone()),
            elf: content.and_then(|content| content.elf),
        }
    }
}

impl TryFrom<RawChange> for Change {
    type Error = &'static str;

    fn try_from(raw: RawChange) -> Result<Self, &'static str> {
        let RawChange { changes, elf, .. } = raw;
        let content = match (raw.mode, raw.sha256_after, raw.size) {
            (Some(Mode(mode)), Some(sha256), Some(size)) => {
                Some(Content { mode, sha256, size, elf, changes })
            }
            (None, None, None) if elf.is_none() && changes.is_none() => None,
            _ => return Err("mode, sha256_after and size go together"),
        };
        match (raw.op, raw.sha256_before, content) {
            (Op::Add, None, Some(content)) => Ok(Self::Add(content)),
            (Op::Replace, Some(before), Some(content)) => Ok(Self::Replace { before, content }),
            (Op::Delete, Some(before), None) => Ok(Self::Delete { before }),
            (Op::Add, ..) => Err("add has sha256_after, mode and size, and no sha256_before"),
            (Op::Replace, ..) => Err("replace has sha256_before, sha256_after, mode and size"),
            (Op::Delete, ..) => Err("delete has sha256_before and nothing else"),
        }
    }
}

impl Serialize for Change {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawChange::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Change {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawChange::deserialize(deserializer)?.try_into().map_err(de::Error::custom)
    }
}
