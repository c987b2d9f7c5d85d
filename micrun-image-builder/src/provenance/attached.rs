//! What is attached to the images of an archive or a layout.

use std::collections::HashMap;

use base64ct::{Base64, Encoding};
use micrun_firmware::signature::Keys;
use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde::Serialize;

use super::artifact::Part;
use super::cosign::{self, Bundle, Simple};
use super::{slsa, spdx};
use crate::error::{Error, Result};
use crate::layers::Budget;
use crate::source::Source;

/// The largest file of an artifact that is read, in bytes.
const MAX_PART: u64 = 4 << 20;

/// An artifact that says something about an image.
pub(crate) struct Attached {
    pub(super) entry: Descriptor,
    pub(super) manifest: ImageManifest,
    /// Its files that may be signatures or attestations, verified, as far as they are here and not too large.
    parts: Vec<(Descriptor, Vec<u8>)>,
}

/// A signature or an attestation that a key has been found for.
#[derive(Serialize)]
pub(crate) struct Verified {
    /// `signature`, or the type of what is attested.
    pub(super) what: String,
    /// The fingerprint of the key.
    pub(super) key: String,
    /// The digest of the artifact.
    pub(super) artifact: String,
}

/// A signature in the older form.
struct Signed<'a> {
    document: Simple,
    /// The document's bytes, which are what is signed.
    content: &'a [u8],
    signature: Vec<u8>,
}

impl Attached {
    /// All artifacts, by the digest of the image that they are about. Each is read once, and counts.
    pub(crate) fn all(source: &Source, budget: &mut Budget) -> Result<HashMap<String, Vec<Self>>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (entry, manifest) in source.artifacts(budget)? {
            let mut parts = Vec::new();
            for layer in manifest.layers().iter().filter(|it| is_simple(it) || is_bundle(it)) {
                parts.extend(part(source, layer, budget)?.map(|content| (layer.clone(), content)));
            }
            let subject = manifest.subject().as_ref().map(|it| it.digest().to_string());
            let this = Self { entry, manifest, parts };
            // cosign's older signatures are found by their name in a registry, and here by what they say.
            let subject =
                subject.or_else(|| this.simple().find_map(|it| it.document.image().map(str::to_owned)));
            if let Some(subject) = subject {
                all.entry(subject).or_default().push(this);
            }
        }
        Ok(all)
    }

    /// Its entry in `index.json`.
    #[cfg(feature = "registry")]
    pub(crate) fn entry(&self) -> &Descriptor {
        &self.entry
    }

    pub(crate) fn digest(&self) -> String {
        self.entry.digest().to_string()
    }

    /// What it is: an artifact type.
    pub(crate) fn artifact_type(&self) -> String {
        let own = self.manifest.artifact_type().as_ref().or(self.entry.artifact_type().as_ref());
        let own = own.map(ToString::to_string);
        own.unwrap_or_else(|| self.manifest.config().media_type().to_string())
    }

    /// What it is, in a word if there is one.
    pub(crate) fn what(&self) -> String {
        let annotations = self.manifest.annotations().as_ref();
        let stated =
            annotations.and_then(|it| it.get(cosign::PREDICATE_TYPE).or(it.get(slsa::PREDICATE_TYPE)));
        let is_simple = self.manifest.layers().iter().any(is_simple);
        match (stated.map(String::as_str), self.artifact_type().as_str()) {
            (Some(cosign::SIGNED), _) => "signature".to_owned(),
            (Some(provenance), _) if provenance.starts_with("https://slsa.dev/provenance/") => {
                "provenance".to_owned()
            }
            (Some(other), _) => format!("attestation of {other}"),
            (None, _) if is_simple => "signature".to_owned(),
            (None, spdx::JSON | spdx::TAGS | "application/vnd.cyclonedx+json") => "SBOM".to_owned(),
            (None, other) => other.to_owned(),
        }
    }

    /// The fingerprint of the key that it says it is of. Nobody has checked that.
    pub(crate) fn claims(&self) -> Option<String> {
        self.bundles().find_map(|it| it.claims())
    }

    /// What the holders of the keys have said in it about the image with this digest.
    pub(super) fn verified(&self, image: &str, keys: &Keys) -> Vec<Verified> {
        let artifact = self.entry.digest().to_string();
        let verified = |what: String, key: String| Verified { what, key, artifact: artifact.clone() };
        let mut all = Vec::new();
        for bundle in self.bundles() {
            if let Some((statement, key)) = bundle.verified(keys).filter(|(it, _)| it.is_about(image)) {
                let what = match statement.predicate_type.as_str() {
                    cosign::SIGNED => "signature".to_owned(),
                    other => other.to_owned(),
                };
                all.push(verified(what, key.fingerprint().to_string()));
            }
        }
        for Signed { document, content, signature } in self.simple() {
            if let Some(key) = keys.signer(content, &signature).filter(|_| document.image() == Some(image)) {
                all.push(verified("signature".to_owned(), key.fingerprint().to_string()));
            }
        }
        all
    }

    /// What is no bundle, or one by a certificate, is nobody's signature here.
    fn bundles(&self) -> impl Iterator<Item = Bundle> {
        let parts = self.parts.iter().filter(|(layer, _)| is_bundle(layer));
        parts.filter_map(|(_, content)| serde_json::from_slice(content).ok())
    }

    /// Signatures in the older form.
    fn simple(&self) -> impl Iterator<Item = Signed<'_>> {
        self.parts.iter().filter(|(layer, _)| is_simple(layer)).filter_map(|(layer, content)| {
            let signature = layer.annotations().as_ref()?.get(cosign::SIGNATURE)?;
            let signature = Base64::decode_vec(signature).ok()?;
            Some(Signed { document: serde_json::from_slice(content).ok()?, content, signature })
        })
    }

    /// The parts of a signature in the older form, to be stored again with others.
    pub(super) fn simple_parts(&self) -> impl Iterator<Item = Part> {
        self.parts.iter().filter(|(layer, _)| is_simple(layer)).map(|(layer, content)| Part {
            media_type: layer.media_type().to_string(),
            content: content.clone(),
            annotations: layer.annotations().clone().unwrap_or_default(),
        })
    }
}

fn is_bundle(layer: &Descriptor) -> bool {
    layer.media_type().as_ref().starts_with(cosign::ANY_BUNDLE)
}

fn is_simple(layer: &Descriptor) -> bool {
    *layer.media_type() == MediaType::Other(cosign::SIMPLE_SIGNING.to_owned())
}

/// A file of an artifact, verified, if it is not too large.
fn part(source: &Source, layer: &Descriptor, budget: &mut Budget) -> Result<Option<Vec<u8>>> {
    if layer.size() > MAX_PART {
        return Ok(None);
    }
    match source.counted_blob(layer, budget) {
        // What is not here says nothing, and the image is no worse for it.
        Err(Error::Incomplete(_)) => Ok(None),
        content => content.map(Some),
    }
}
