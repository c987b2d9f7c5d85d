//! What a name stands for at a registry: `HOST/REPOSITORY[:TAG][@DIGEST]`.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::Digest;

use crate::error::{Error, Result};
use crate::names::ImageName;

/// A name that is looked up at a registry, in full.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    /// Where it is looked up: `docker.io`, `registry:5000`.
    pub(super) host: String,
    pub(super) repository: String,
    /// A tag or a digest. A digest wins over a tag beside it, as everywhere.
    pub(super) version: Version,
}

/// Which of a repository's images.
#[derive(Clone, Debug)]
pub(super) enum Version {
    Tag(String),
    Digest(Digest),
}

impl Reference {
    /// The repository without a version, as messages name it.
    pub(super) fn place(&self) -> String {
        format!("{}/{}", self.host, self.repository)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        let name = ImageName::parse(name)?;
        let digest = digest.map(|it| {
            it.parse::<Digest>().map_err(|e| Error::Argument {
                what: "digest",
                value: it.to_owned(),
                reason: format!("{e}; a digest is sha256: and 64 hexadecimal digits"),
            })
        });
        let (place, tag) = name.full().rsplit_once(':').unwrap_or((name.full(), "latest"));
        let (host, repository) = place.split_once('/').unwrap_or((place, ""));
        let version = match digest {
            Some(digest) => Version::Digest(digest?),
            None => Version::Tag(tag.to_owned()),
        };
        Ok(Self { host: host.to_owned(), repository: repository.to_owned(), version })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.place();
        match &self.version {
            Version::Tag(tag) => write!(f, "{place}:{tag}"),
            Version::Digest(digest) => write!(f, "{place}@{digest}"),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => write!(f, "{digest}"),
        }
    }
}
