//! What `pack` is asked to attach.

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};

/// The builder's id when none is given.
pub(super) const BUILDER: &str = "https://openeuler.org/micrun/image-builder";

/// What is attached to a new image. None of it changes the image's digest.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct AttachArgs {
    /// Attach an SBOM: one that is made (SPDX 2.3), or a file in SPDX or CycloneDX
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) sbom: Option<Sbom>,
    /// Attach the provenance (SLSA 1.0, signed if there is a --sign-key), with an id of whoever packs
    #[arg(long, value_name = "URI", num_args = 0..=1, require_equals = true, default_missing_value = BUILDER)]
    pub(crate) provenance: Option<String>,
    /// What is in the firmware, as the file says it.
    #[arg(skip)]
    pub(crate) packages: Vec<Package>,
}

/// Where an SBOM comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sbom {
    Made,
    File(PathBuf),
}

impl FromStr for Sbom {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text.is_empty() { Self::Made } else { Self::File(PathBuf::from(text)) })
    }
}

impl Sbom {
    /// The same, with a path that starts at a directory.
    pub(crate) fn below(self, directory: &Path) -> Self {
        match self {
            Self::Made => Self::Made,
            Self::File(path) => Self::File(directory.join(path)),
        }
    }
}

/// A package that the firmware is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Package {
    pub(super) name: String,
    pub(super) version: Option<String>,
    pub(super) license: Option<License>,
    pub(super) supplier: Option<String>,
    pub(super) purl: Option<String>,
    pub(super) cpe: Option<String>,
}

/// A licence, in SPDX's words such as `Apache-2.0 OR MIT`.
#[derive(Clone, Debug)]
pub(super) struct License(pub(super) String);

impl<'de> Deserialize<'de> for License {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_word = |c: char| c.is_ascii_alphanumeric() || "-.+:() ".contains(c);
        if text.chars().all(is_word) && !text.trim().is_empty() {
            return Ok(Self(text));
        }
        Err(D::Error::custom("a licence is an SPDX expression, such as Apache-2.0 OR MIT"))
    }
}

/// `true`, `false` or a text, in a file.
#[derive(Clone, Debug)]
pub(crate) enum Switch {
    Off,
    On,
    Value(String),
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Switch;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("true, false or a text")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Switch, E> {
                Ok(if on { Switch::On } else { Switch::Off })
            }

            fn visit_str<E>(self, text: &str) -> Result<Switch, E> {
                Ok(Switch::Value(text.to_owned()))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Switch {
    /// An SBOM, of which the text names the file.
    pub(crate) fn sbom(self) -> Option<Sbom> {
        match self {
            Self::Off => None,
            Self::On => Some(Sbom::Made),
            Self::Value(path) => Some(Sbom::File(path.into())),
        }
    }

    /// A provenance, of which the text names the builder.
    pub(crate) fn provenance(self) -> Option<String> {
        match self {
            Self::Off => None,
            Self::On => Some(BUILDER.to_owned()),
            Self::Value(builder) => Some(builder),
        }
    }
}
