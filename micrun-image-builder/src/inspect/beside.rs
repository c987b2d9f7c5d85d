//! What is listed with an image and is none that can be looked at.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

/// Why something is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// A signature, an SBOM, an attestation or the like.
    Artifact,
    /// A part of it is in none of the blobs.
    Incomplete,
    /// It is encrypted, or of a type that cannot be unpacked.
    Unreadable,
}

/// Something that `index.json`, or an index that it names, lists.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Beside {
    pub(super) name: Option<String>,
    pub(super) digest: String,
    /// The host it is listed for.
    pub(super) platform: Option<String>,
    pub(super) verdict: Verdict,
    /// A clause that says more.
    pub(super) reason: String,
    /// Whether it is an image, as far as can be told.
    #[serde(skip)]
    pub(super) is_image: bool,
}

impl Beside {
    /// The error when this was to be looked at.
    pub(super) fn into_error(self) -> Error {
        let of = match (&self.platform, &self.name) {
            (Some(platform), Some(name)) => format!("{name} for {platform}"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => self.digest,
        };
        let sentence = format!("{of}: {}", self.reason);
        match self.verdict {
            Verdict::Unreadable => Error::Unreadable(sentence),
            Verdict::Incomplete | Verdict::Artifact => Error::Incomplete(sentence),
        }
    }
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Artifact => "artifact",
            Verdict::Incomplete => "not here",
            Verdict::Unreadable => "not readable",
        };
        write!(f, "{verdict:<12}  {}", self.digest)?;
        if let Some(platform) = &self.platform {
            write!(f, " for {platform}")?;
        }
        write!(f, ": {}", self.reason)
    }
}
