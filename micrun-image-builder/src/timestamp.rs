//! The one time an image carries.

use std::env;
use std::time::{Duration, UNIX_EPOCH};

use crate::error::{Error, Result};

/// The largest time that a plain tar header holds: eleven octal digits, the year 2242.
const MAX: u64 = 0o77_777_777_777;

/// Seconds since 1970: `SOURCE_DATE_EPOCH`, or 0 when it is not set.
///
/// <https://reproducible-builds.org/specs/source-date-epoch/>
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    pub(crate) fn from_env() -> Result<Self> {
        let Some(value) = env::var_os("SOURCE_DATE_EPOCH") else { return Ok(Self(0)) };
        let value = value.to_string_lossy();
        match value.parse() {
            Ok(seconds) if seconds <= MAX => Ok(Self(seconds)),
            _ => Err(Error::Argument {
                what: "SOURCE_DATE_EPOCH",
                value: value.into_owned(),
                reason: format!("it is a number of seconds since 1970, at most {MAX}"),
            }),
        }
    }

    pub(crate) fn seconds(self) -> u64 {
        self.0
    }

    /// As image-spec writes times, RFC 3339.
    pub(crate) fn rfc3339(self) -> String {
        humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(self.0)).to_string()
    }
}
