//! Values of the file that are read as the command line reads them.

use std::fmt::Display;
use std::str::FromStr;

use micrun_firmware::rootfs::boards::name_fault;
use serde::de::{Deserialize, Deserializer, Error};

/// A scalar in the words of a type, such as the name of a pedestal.
#[derive(Clone, Debug)]
pub(super) struct Word<T>(pub(super) T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// An address: a number, in YAML's notations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Address(pub(super) u64);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u64::deserialize(deserializer).map(Self)
    }
}

/// An amount of memory in MiB.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mebibytes(pub(super) u32);

impl<'de> Deserialize<'de> for Mebibytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i32::deserialize(deserializer)?;
        let positive = u32::try_from(number).ok().filter(|it| *it > 0);
        positive.map(Self).ok_or_else(|| D::Error::custom("it is a number of MiB, 1 or more"))
    }
}

/// The name of a board, which is that of a directory in the image.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct BoardName(pub(super) String);

impl<'de> Deserialize<'de> for BoardName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        match name_fault(&name) {
            Some(fault) => Err(D::Error::custom(fault)),
            None => Ok(Self(name)),
        }
    }
}

/// The version of the file's format, of which there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Version;

/// The version that is read.
pub(super) const VERSION: u64 = 1;

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u64::deserialize(deserializer)? {
            VERSION => Ok(Self),
            other => Err(D::Error::custom(format!(
                "version {other} is not known: this program reads version {VERSION}"
            ))),
        }
    }
}
