//! Which entries of `index.json` are images, and which are artifacts beside them: signatures, SBOMs.

use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde::Deserialize;

use super::Source;
use crate::error::Result;
use crate::names;

/// Entries that are looked at.
const MAX_ENTRIES: usize = 4096;

/// Whether a config is that of an image, in the words of OCI or of Docker.
pub(crate) fn is_image_config(config: &MediaType) -> bool {
    matches!(config, MediaType::ImageConfig)
        || config.as_ref() == "application/vnd.docker.container.image.v1+json"
}

/// What tells an artifact from an image.
#[derive(Deserialize)]
struct Outline {
    config: Option<Descriptor>,
    subject: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

impl Outline {
    /// Whether it is no image: it is about one, or its config is none, or its layers are signatures of cosign.
    fn is_artifact(&self) -> bool {
        let is_signature =
            |it: &Descriptor| it.media_type().to_string().starts_with("application/vnd.dev.cosign.");
        self.subject.is_some()
            || self.config.as_ref().is_some_and(|it| !is_image_config(it.media_type()))
            || (!self.layers.is_empty() && self.layers.iter().all(is_signature))
    }
}

impl Source {
    /// The entries of `index.json` that are images. What says something about them is none.
    pub(crate) fn images(&self) -> Result<Vec<Descriptor>> {
        let mut images = Vec::new();
        for entry in self.index()?.manifests() {
            if !self.is_artifact(entry) {
                images.push(entry.clone());
            }
        }
        Ok(images)
    }

    /// The entries that are artifacts, with their manifests.
    pub(crate) fn artifacts(&self) -> Result<Vec<(Descriptor, ImageManifest)>> {
        let mut artifacts = Vec::new();
        for entry in self.index()?.manifests().iter().take(MAX_ENTRIES) {
            if *entry.media_type() == MediaType::ImageManifest && self.is_artifact(entry) {
                artifacts.push((entry.clone(), self.document(entry)?));
            }
        }
        Ok(artifacts)
    }

    /// What has a name is what somebody has named, unless the name is one that cosign makes of a digest. What cannot be
    /// read is taken for an image: whoever wants that image is told why.
    fn is_artifact(&self, entry: &Descriptor) -> bool {
        let of_cosign = |name: &str| name.starts_with("sha256-");
        names::reference(entry).or_else(|| names::of(entry)).is_none_or(of_cosign)
            && matches!(entry.media_type(), MediaType::ImageManifest | MediaType::ImageIndex)
            && self.document::<Outline>(entry).is_ok_and(|it| it.is_artifact())
    }
}
