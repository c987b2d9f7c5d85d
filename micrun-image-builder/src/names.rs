//! The names an image is found by.

use std::collections::HashMap;

use oci_spec::distribution::Reference;
use oci_spec::image::{ANNOTATION_REF_NAME, Descriptor};

use crate::error::{Error, Result};

/// Where containerd looks for the full name of an image that it imports (its `images.AnnotationImageName`).
pub(crate) const IMAGE_NAME: &str = "io.containerd.image.name";

/// The name of an image, in full: `docker.io/library/demo:latest` for `demo`.
///
/// nerdctl, crictl and Kubernetes complete a short name in the same way before they look it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageName {
    full: String,
    tag: String,
}

impl ImageName {
    pub(crate) fn parse(name: &str) -> Result<Self> {
        let refuse = |reason: &str| Error::Argument {
            what: "image name",
            value: name.to_owned(),
            reason: format!("{reason}; a name is [HOST[:PORT]/]PATH[:TAG], the path in lower case"),
        };
        let reference: Reference = name.parse().map_err(|e| refuse(&format!("{e}")))?;
        if reference.digest().is_some() {
            return Err(refuse("a digest is what packing computes, not what it is given"));
        }
        let Some(tag) = reference.tag() else { return Err(refuse("it has no tag")) };
        Ok(Self { full: reference.whole(), tag: tag.to_owned() })
    }

    /// A name made of a file name: `My_App v2.elf` gives `my-app-v2`.
    pub(crate) fn from_stem(stem: &str) -> Result<Self> {
        let lower = stem.to_lowercase();
        let words: Vec<_> =
            lower.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect();
        Self::parse(&words.join("-"))
    }

    pub(crate) fn full(&self) -> &str {
        &self.full
    }

    /// The annotations of the entry in `index.json`: the full name for containerd, the tag for everyone else.
    pub(crate) fn annotations(&self) -> HashMap<String, String> {
        HashMap::from([
            (IMAGE_NAME.to_owned(), self.full.clone()),
            (ANNOTATION_REF_NAME.to_owned(), self.tag.clone()),
        ])
    }
}

/// The name that an entry of `index.json` carries.
pub(crate) fn of(entry: &Descriptor) -> Option<&str> {
    let annotations = entry.annotations().as_ref()?;
    annotations.get(IMAGE_NAME).or_else(|| annotations.get(ANNOTATION_REF_NAME)).map(String::as_str)
}
