//! One rule of a policy, and the words with which it refuses.

use std::fmt::{self, Display};

use super::Patterns;
use crate::text::quoted;
use crate::{Error, Origin, Result, Setting};

/// What a key of the host's configuration allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule<T> {
    /// The key.
    pub key: &'static str,
    /// What is allowed.
    pub value: T,
    /// The value as a message shows it.
    shown: String,
    /// The file that sets the key, or that could.
    place: String,
    /// Whether the key is set there.
    is_set: bool,
}

/// A largest value; `None` is no limit.
pub type Most = Rule<Option<u32>>;

impl<T> Rule<T> {
    /// What applies while no file sets the key. `place` is the file that could.
    pub(super) fn unset(key: &'static str, value: T, shown: impl Display, place: &str) -> Self {
        Self { key, value, shown: shown.to_string(), place: place.to_owned(), is_set: false }
    }

    /// The key is set in `place`, to what is written as `shown`.
    pub(super) fn set(&mut self, value: T, shown: impl Display, place: impl Display) {
        *self =
            Self { key: self.key, value, shown: shown.to_string(), place: place.to_string(), is_set: true };
    }

    /// Whether a file sets the key.
    pub fn is_set(&self) -> bool {
        self.is_set
    }

    /// The file that sets the key, or that could.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The error for `subject`, which the rule forbids; `remedy` is what the user can do.
    pub fn refuse(&self, subject: impl Into<String>, remedy: impl Into<String>) -> Error {
        Error::Policy { subject: subject.into(), rule: self.to_string(), remedy: remedy.into() }
    }
}

/// As a part of a sentence.
impl<T> Display for Rule<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, shown, place, is_set, .. } = self;
        if *is_set {
            write!(f, "{key} in {place} is {shown}")
        } else {
            write!(f, "{key}, which {place} does not set, is {shown} by default")
        }
    }
}

impl Rule<Patterns> {
    /// Refuses `name`, which is a `what`, unless a pattern fits it.
    pub fn check(&self, what: &str, name: &str) -> Result<()> {
        if self.value.allows(name) {
            return Ok(());
        }
        let name = quoted(name);
        let remedy = format!("use another one, or let the host's administrator add {name} to the key");
        Err(self.refuse(format!("{what} {name}"), remedy))
    }
}

impl Most {
    /// Refuses `number`, which is an amount of `what`, if it is above the limit.
    pub fn check(&self, what: &str, number: u32) -> Result<()> {
        if self.value.is_none_or(|most| number <= most) {
            return Ok(());
        }
        let remedy = "ask for less, or let the host's administrator raise the key";
        Err(self.refuse(format!("{what} of {number}"), remedy))
    }

    /// The setting, lowered to the limit.
    pub fn cap(&self, setting: Setting<u32>) -> Setting<u32> {
        match self.value {
            Some(most) if setting.value > most => Setting { value: most, origin: Origin::HostConf },
            _ => setting,
        }
    }

    /// The number, lowered to the limit.
    pub fn cap_number(&self, number: u32) -> u32 {
        self.value.map_or(number, |most| number.min(most))
    }
}
