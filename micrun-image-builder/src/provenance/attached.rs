//! What is attached to the images of an archive or a layout.

use std::collections::HashMap;

use micrun_firmware::signature::Keys;
use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde::Serialize;

use super::cosign::{self, Bundle, Simple};
use super::{slsa, spdx};
use crate::error::{Error, Result};
use crate::source::Source;

/// The largest file of an artifact that is read, in bytes.
const MAX_PART: u64 = 4 << 20;

/// An artifact that says something about an image.
pub(crate) struct Attached {
    pub(super) entry: Descriptor,
    pub(super) manifest: ImageManifest,
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
struct Signed {
    document: Simple,
    /// The document's bytes, which are what is signed.
    content: Vec<u8>,
    signature: Vec<u8>,
}

impl Attached {
    /// All artifacts, by the digest of the image that they are about.
    pub(crate) fn all(source: &Source) -> Result<HashMap<String, Vec<Self>>> {
        let mut all: HashMap<_, Vec<_>> = HashMap::new();
        for (entry, manifest) in source.artifacts()? {
            let subject = manifest.subject().as_ref().map(|it| it.digest().to_string());
            let this = Self { entry, manifest };
            let subject = match subject {
                Some(subject) => Some(subject),
                // cosign's older signatures are found by their name in a registry, and here by what they say.
                None => this.simple(source)?.iter().find_map(|it| it.document.image().map(str::to_owned)),
            };
            if let Some(subject) = subject {
                all.entry(subject).or_default().push(this);
            }
        }
        Ok(all)
    }

    /// The artifacts that are about the image with this digest.
    pub(crate) fn to(source: &Source, image: &str) -> Result<Vec<Self>> {
        Ok(Self::all(source)?.remove(image).unwrap_or_default())
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
    pub(crate) fn claims(&self, source: &Source) -> Result<Option<String>> {
        Ok(self.bundles(source)?.iter().find_map(Bundle::claims))
    }

    /// What the holders of the keys have said in it about the image with this digest.
    pub(super) fn verified(&self, source: &Source, image: &str, keys: &Keys) -> Result<Vec<Verified>> {
        let artifact = self.entry.digest().to_string();
        let verified = |what: String, key: String| Verified { what, key, artifact: artifact.clone() };
        let mut all = Vec::new();
        for bundle in self.bundles(source)? {
            if let Some((statement, key)) = bundle.verified(keys).filter(|(it, _)| it.is_about(image)) {
                let what = match statement.predicate_type.as_str() {
                    cosign::SIGNED => "signature".to_owned(),
                    other => other.to_owned(),
                };
                all.push(verified(what, key.fingerprint().to_string()));
            }
        }
        for Signed { document, content, signature } in self.simple(source)? {
            if let Some(key) = keys.signer(&content, &signature).filter(|_| document.image() == Some(image)) {
                all.push(verified("signature".to_owned(), key.fingerprint().to_string()));
            }
        }
        Ok(all)
    }

    fn bundles(&self, source: &Source) -> Result<Vec<Bundle>> {
        let mut bundles = Vec::new();
        for layer in self.manifest.layers() {
            if layer.media_type().to_string().starts_with(cosign::ANY_BUNDLE)
                && let Some(content) = part(source, layer)?
            {
                // What is no bundle, or one by a certificate, is nobody's signature here.
                bundles.extend(serde_json::from_slice::<Bundle>(&content));
            }
        }
        Ok(bundles)
    }

    /// Signatures in the older form.
    fn simple(&self, source: &Source) -> Result<Vec<Signed>> {
        use base64ct::{Base64, Encoding};
        let mut all = Vec::new();
        for layer in self.manifest.layers().iter().filter(|it| is_simple(it)) {
            let signature = layer.annotations().as_ref().and_then(|it| it.get(cosign::SIGNATURE));
            let signature = signature.and_then(|it| Base64::decode_vec(it).ok());
            let (Some(signature), Some(content)) = (signature, part(source, layer)?) else { continue };
            if let Ok(document) = serde_json::from_slice(&content) {
                all.push(Signed { document, content, signature });
            }
        }
        Ok(all)
    }

    /// The parts of a signature in the older form, to be stored again with others.
    pub(super) fn simple_parts(&self, source: &Source) -> Result<Vec<super::artifact::Part>> {
        let mut parts = Vec::new();
        for layer in self.manifest.layers().iter().filter(|it| is_simple(it)) {
            if let Some(content) = part(source, layer)? {
                let annotations = layer.annotations().clone().unwrap_or_default();
                let media_type = layer.media_type().to_string();
                parts.push(super::artifact::Part { media_type, content, annotations });
            }
        }
        Ok(parts)
    }
}

fn is_simple(layer: &Descriptor) -> bool {
    *layer.media_type() == MediaType::Other(cosign::SIMPLE_SIGNING.to_owned())
}

/// A file of an artifact, verified, if it is not too large.
fn part(source: &Source, layer: &Descriptor) -> Result<Option<Vec<u8>>> {
    if layer.size() > MAX_PART {
        return Ok(None);
    }
    match source.small_blob(layer) {
        // What is not here says nothing, and the image is no worse for it.
        Err(Error::Incomplete(_)) => Ok(None),
        content => content.map(Some),
    }
}
