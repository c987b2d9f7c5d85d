//! An address in a record.

use std::fmt;
use std::str::FromStr;

use crate::text::serde_as_text;

/// An address. A string in JSON (`"0x40000000"`), because numbers above 2^53 do not survive all readers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub u64);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        digits.map(Self).ok_or_else(|| format!("{text:?} is not an address such as \"0x40000000\""))
    }
}

serde_as_text!(Address);
