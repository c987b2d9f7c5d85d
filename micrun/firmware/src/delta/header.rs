//! The header of a delta, hostile until checked.

use std::fmt;
use std::fs::File;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::{MAGIC, MAX_HEADER, MAX_OPERATIONS, refuse};
use crate::record::check_path;
use crate::{Error, MAX_FIRMWARE_SIZE, Result, Sha256Digest};

/// The version that is written, and the only one that is read.
const VERSION: u32 = 1;

/// What a delta says of itself.
// The fields of everything here stand in the order of their names: the JSON is canonical.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// What it was made for.
    pub base: Target,
    /// How the result is put together, from its beginning to its end.
    pub operations: Vec<Operation>,
    /// What it gives.
    pub result: Identity,
    version: u32,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// Its path in the image, absolute.
    pub path: String,
    /// The digest of its content, or of what it gives if it is a delta.
    pub sha256: Sha256Digest,
    /// The size of the same in bytes.
    pub size: u64,
}

/// Which bytes a content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Their digest.
    pub sha256: Sha256Digest,
    /// How many they are.
    pub size: u64,
}

/// The next bytes of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// Where in the base they are; `None` if they are the next ones of the delta's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// How many they are.
    pub size: u64,
}

impl Header {
    /// A header that can be read back.
    pub fn new(base: Target, operations: Vec<Operation>, result: Identity) -> Result<Self> {
        let header = Self { base, operations, result, version: VERSION };
        header.check()?;
        Ok(header)
    }

    /// The first line of the file and the header's.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self).map_err(|error| refuse(format!("no header: {error}")))?;
        Ok([MAGIC, &json, b"\n"].concat())
    }

    /// Reads the header of a file that is a delta, and says where its own bytes begin.
    pub(super) fn read(file: &File) -> Result<(Self, u64)> {
        let io = |error| Error::io("read", "the delta", error);
        let size = file.metadata().map_err(io)?.len();
        let most = size.min(MAX_HEADER + MAGIC.len() as u64);
        let mut start = vec![0; usize::try_from(most).unwrap_or(0)];
        file.read_exact_at(&mut start, 0).map_err(io)?;
        let (header, data) = Self::parse(&start)?;
        let own = header.own_bytes();
        if size - data != own {
            return Err(refuse(format!("it has {} bytes of its own instead of {own}", size - data)));
        }
        Ok((header, data))
    }

    /// Reads the header at the start of a delta, and says where it ends. It is checked.
    pub fn parse(start: &[u8]) -> Result<(Self, u64)> {
        let json = start.strip_prefix(MAGIC).ok_or_else(|| refuse("its first line is not micrun-delta"))?;
        let Some(end) = json.iter().position(|byte| *byte == b'\n') else {
            return Err(refuse(format!("its header does not end within {MAX_HEADER} bytes")));
        };
        let json = &json[..end];
        let header: Self = serde_json::from_slice(json)
            .map_err(|error| refuse(format!("its header cannot be read: {error}")))?;
        header.check()?;
        if header.to_bytes()?[MAGIC.len()..] != [json, b"\n"].concat() {
            return Err(refuse("its header is not canonical JSON"));
        }
        Ok((header, (MAGIC.len() + end + 1) as u64))
    }

    /// How many bytes the delta brings itself.
    pub fn own_bytes(&self) -> u64 {
        self.operations.iter().filter(|it| it.from.is_none()).map(|it| it.size).sum()
    }

    fn check(&self) -> Result<()> {
        if self.version != VERSION {
            return Err(refuse(format!(
                "it has version {} and this program reads version {VERSION}",
                self.version
            )));
        }
        check_path(&self.base.path)?;
        if self.base.size > MAX_FIRMWARE_SIZE || self.result.size > MAX_FIRMWARE_SIZE {
            return Err(refuse(format!("a firmware has at most {MAX_FIRMWARE_SIZE} bytes")));
        }
        if self.operations.len() > MAX_OPERATIONS {
            return Err(refuse(format!("it has more than {MAX_OPERATIONS} operations")));
        }
        let mut made: u64 = 0;
        for Operation { from, size } in &self.operations {
            let within =
                from.is_none_or(|from| from.checked_add(*size).is_some_and(|end| end <= self.base.size));
            made = made.saturating_add(*size);
            if *size == 0 || !within || made > self.result.size {
                return Err(refuse("an operation leaves its base or its result"));
            }
        }
        if made != self.result.size {
            return Err(refuse(format!("its operations give {made} bytes instead of {}", self.result.size)));
        }
        Ok(())
    }

    /// Where in the result each operation begins, and where in the base or in the delta's own bytes.
    pub(super) fn places(&self) -> Vec<(u64, u64)> {
        let (mut at, mut own) = (0, 0);
        let place = |it: &Operation| {
            let place = (at, it.from.unwrap_or(own));
            at += it.size;
            own += if it.from.is_none() { it.size } else { 0 };
            place
        };
        self.operations.iter().map(place).collect()
    }
}

impl Target {
    /// Which bytes it is.
    pub const fn identity(&self) -> Identity {
        Identity { sha256: self.sha256, size: self.size }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.sha256, self.size)
    }
}
