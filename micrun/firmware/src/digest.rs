//! SHA-256 digests, as annotations and records write them.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::str::FromStr;

use sha2::{Digest, Sha256};

use crate::Error;
use crate::text::{quoted, serde_as_text};

/// A SHA-256 digest. Displayed as OCI does, `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Copies `from` to `to` and digests what passes: its digest and its size in bytes.
    pub fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(Self, u64)> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut size = 0;
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok((Self(hasher.finalize().into()), size)),
                Ok(n) => {
                    hasher.update(&buffer[..n]);
                    to.write_all(&buffer[..n])?;
                    size += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The digest of everything `from` still gives.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        Ok(Self::copy(from, &mut io::sink())?.0)
    }

    /// The 64 hexadecimal digits alone.
    pub fn hex(&self) -> String {
        hex(&self.0)
    }
}

impl From<Sha256> for Sha256Digest {
    fn from(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

/// Copies a file as [`crate::copy`] does; gives the digest of the copy and its size in bytes.
pub fn copy(from: &File, to: &File, limit: u64) -> io::Result<(Sha256Digest, u64)> {
    let mut hasher = Sha256::new();
    let size = crate::copy(from, to, limit, |bytes| hasher.update(bytes))?;
    Ok((Sha256Digest(hasher.finalize().into()), size))
}

/// Bytes as pairs of hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl FromStr for Sha256Digest {
    type Err = Error;

    /// 64 hexadecimal digits of either case, with or without `sha256:` before.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Digest { text: quoted(text) };
        let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
        if digits.len() != 64 {
            return Err(refuse());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
            let (Some(high), Some(low)) = (nibble(pair[0]), nibble(pair[1])) else { return Err(refuse()) };
            *byte = high << 4 | low;
        }
        Ok(Self(digest))
    }
}

serde_as_text!(Sha256Digest);
