//! Permissions of a file in an image.

use std::str::FromStr;

use crate::layer::FILE_MODE;

/// Permissions; the host's do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(pub(super) u32);

impl Default for Mode {
    fn default() -> Self {
        Self(FILE_MODE)
    }
}

impl FromStr for Mode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        let mode = u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o777);
        mode.map(Self).ok_or("write a mode as 0644, with no more than 0777")
    }
}
