//! Which entries of `index.json` are images, and which are artifacts beside them: signatures, SBOMs.

use std::collections::{HashMap, HashSet};

use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde::Deserialize;
use serde_json::Value;

use super::Source;
use crate::error::{Error, Result};
use crate::layers::Budget;
use crate::names;

/// Whether something is a manifest, in the words of OCI or of Docker.
pub(crate) fn is_manifest(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageManifest)
        || media_type.as_ref() == "application/vnd.docker.distribution.manifest.v2+json"
}

/// Whether something lists manifests, in the words of OCI or of Docker.
pub(crate) fn is_index(media_type: &MediaType) -> bool {
    matches!(media_type, MediaType::ImageIndex)
        || media_type.as_ref() == "application/vnd.docker.distribution.manifest.list.v2+json"
}

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
        let (mut images, mut budget) = (Vec::new(), Budget::for_an_image());
        // Any number of entries may name one document.
        let mut known = HashMap::new();
        for entry in self.index()?.manifests() {
            if may_be_artifact(entry) {
                let is_artifact = match known.get(entry.digest()) {
                    Some(known) => *known,
                    // What cannot be read is taken for an image: whoever wants that image is told why.
                    None => match self.counted::<Outline>(entry, &mut budget) {
                        Err(error @ Error::Unreadable(_)) => return Err(error),
                        outline => outline.is_ok_and(|it| it.is_artifact()),
                    },
                };
                known.insert(entry.digest().clone(), is_artifact);
                if is_artifact {
                    continue;
                }
            }
            images.push(entry.clone());
        }
        Ok(images)
    }

    /// The entries that are artifacts, each once, with their manifests.
    pub(crate) fn artifacts(&self, budget: &mut Budget) -> Result<Vec<(Descriptor, ImageManifest)>> {
        let (mut artifacts, mut seen) = (Vec::new(), HashSet::new());
        let index = self.index()?;
        let entries = index.manifests().iter().filter(|it| *it.media_type() == MediaType::ImageManifest);
        for entry in entries.filter(|it| may_be_artifact(it)) {
            if !seen.insert(entry.digest()) {
                continue;
            }
            match self.counted::<Value>(entry, budget) {
                Err(error @ Error::Unreadable(_)) => return Err(error),
                Ok(document) if Outline::deserialize(&document).is_ok_and(|it| it.is_artifact()) => {
                    let of = || entry.digest().to_string();
                    let manifest = ImageManifest::deserialize(&document)
                        .map_err(|source| Error::Json { name: of(), source })?;
                    artifacts.push((entry.clone(), manifest));
                }
                _ => {}
            }
        }
        Ok(artifacts)
    }
}

/// What has a name is what somebody has named, unless the name is one that cosign makes of a digest.
fn may_be_artifact(entry: &Descriptor) -> bool {
    let of_cosign = |name: &str| name.starts_with("sha256-");
    names::reference(entry).or_else(|| names::of(entry)).is_none_or(of_cosign)
        && matches!(entry.media_type(), MediaType::ImageManifest | MediaType::ImageIndex)
}
