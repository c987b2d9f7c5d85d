//! What is stored beside an image and says something about it: a manifest whose `subject` is the image (image-spec 1.1).

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;

use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType};

use crate::digest::Measured;
use crate::image::{complete, descriptor};
use crate::json;
use crate::sink::{self, Sink};

/// The config of an artifact that has none.
const EMPTY: &[u8] = b"{}";

/// An artifact, in memory.
pub(crate) struct Artifact {
    /// What it is.
    pub(crate) kind: &'static str,
    /// Its config, if what reads it wants one.
    pub(crate) config: Option<Vec<u8>>,
    pub(crate) parts: Vec<Part>,
    pub(crate) annotations: BTreeMap<&'static str, String>,
    /// Annotations of its entry in `index.json`.
    pub(crate) entry: BTreeMap<&'static str, String>,
}

/// A file of an artifact.
pub(crate) struct Part {
    pub(crate) media_type: String,
    pub(crate) content: Vec<u8>,
    pub(crate) annotations: HashMap<String, String>,
}

/// Where blobs are stored, each once: artifacts have some in common.
pub(crate) struct Blobs<'a> {
    pub(crate) sink: &'a mut dyn Sink,
    /// The digests of those that are there.
    pub(crate) known: HashSet<String>,
}

impl<'a> Blobs<'a> {
    pub(crate) fn new(sink: &'a mut dyn Sink) -> Self {
        Self { sink, known: HashSet::new() }
    }

    fn put(&mut self, content: &[u8]) -> io::Result<Measured> {
        let blob = Measured::of(content);
        if self.known.insert(blob.digest.digest().to_owned()) {
            sink::put(self.sink, content)?;
        }
        Ok(blob)
    }
}

impl Artifact {
    /// One with a single file.
    pub(crate) fn of(kind: &'static str, content: Vec<u8>) -> Self {
        let part = Part { media_type: kind.to_owned(), content, annotations: HashMap::new() };
        Self { kind, config: None, parts: vec![part], annotations: BTreeMap::new(), entry: BTreeMap::new() }
    }

    /// Stores it. Gives its entry for `index.json`, which has no name: nobody takes it for an image.
    pub(crate) fn store(&self, blobs: &mut Blobs<'_>, image: &Descriptor) -> io::Result<Descriptor> {
        let (of_config, config) = match &self.config {
            Some(config) => (MediaType::ImageConfig, config.as_slice()),
            None => (MediaType::EmptyJSON, EMPTY),
        };
        let config = descriptor(of_config, &blobs.put(config)?);
        let mut layers = Vec::new();
        for part in &self.parts {
            let mut layer = descriptor(MediaType::from(part.media_type.as_str()), &blobs.put(&part.content)?);
            if !part.annotations.is_empty() {
                layer.set_annotations(Some(part.annotations.clone()));
            }
            layers.push(layer);
        }
        let artifact_type = MediaType::from(self.kind);
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .artifact_type(artifact_type.clone())
            .config(config)
            .layers(layers)
            .subject(bare(image));
        let manifest = match owned(&self.annotations) {
            Some(annotations) => manifest.annotations(annotations),
            None => manifest,
        };
        let blob = blobs.put(&json::canonical(&complete(manifest.build())))?;
        let mut entry = descriptor(MediaType::ImageManifest, &blob);
        entry.set_artifact_type(Some(artifact_type));
        entry.set_annotations(owned(&self.entry));
        Ok(entry)
    }
}

/// The identity of an image, without its names here.
fn bare(image: &Descriptor) -> Descriptor {
    let mut bare = image.clone();
    bare.set_annotations(None);
    bare.set_platform(None);
    bare
}

fn owned(annotations: &BTreeMap<&'static str, String>) -> Option<HashMap<String, String>> {
    let owned = annotations.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    (!annotations.is_empty()).then(|| owned.collect())
}
