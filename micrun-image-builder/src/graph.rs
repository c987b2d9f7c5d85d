//! What a manifest or an index leads to.

use std::collections::HashSet;
use std::io::Read;

use bytes::Bytes;
use oci_spec::image::Descriptor;
use serde::Deserialize;

use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::source::Source;

/// Manifests of one image. An index of indexes is legal and nobody has deep ones.
const MAX_MANIFESTS: usize = 1000;

/// A manifest or an index as it came.
#[derive(Clone)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) blob: Measured,
}

impl Manifest {
    /// One of these bytes.
    pub(crate) fn new(media_type: String, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self { media_type, blob: Measured::of(&bytes), bytes }
    }

    /// The one in an archive or a layout, verified.
    pub(crate) fn read(source: &Source, descriptor: &Descriptor) -> Result<Self> {
        let mut bytes = Vec::new();
        let mut blob = source.blob(descriptor)?;
        blob.read_to_end(&mut bytes).map_err(|error| source.unreadable(error))?;
        blob.verify()?;
        Ok(Self::new(descriptor.media_type().to_string(), bytes))
    }

    pub(crate) fn digest(&self) -> String {
        self.blob.name()
    }

    /// What it leads to.
    pub(crate) fn links(&self) -> Result<Links> {
        serde_json::from_slice(&self.bytes).map_err(|source| Error::Json { name: self.digest(), source })
    }
}

/// The parts of manifests, indexes and artifacts that lead on; those of Docker have the same names.
#[derive(Deserialize)]
pub(crate) struct Links {
    pub(crate) config: Option<Descriptor>,
    #[serde(default)]
    pub(crate) layers: Vec<Descriptor>,
    #[serde(default)]
    pub(crate) blobs: Vec<Descriptor>,
    #[serde(default)]
    pub(crate) manifests: Vec<Descriptor>,
}

/// An image as a whole: its manifests, the root last, and the blobs that they name, each once.
pub(crate) struct Graph {
    pub(crate) manifests: Vec<Manifest>,
    pub(crate) blobs: Vec<Descriptor>,
    /// Manifests that are named and are not there: those for other platforms, usually.
    pub(crate) missing: Vec<Descriptor>,
}

impl Graph {
    /// Follows all links from an entry of an archive or a layout.
    pub(crate) fn read(source: &Source, entry: &Descriptor) -> Result<Self> {
        Self::of(Manifest::read(source, entry)?, |child| {
            if source.has(child)? { Manifest::read(source, child).map(Some) } else { Ok(None) }
        })
    }

    /// Follows all links from `root`. `fetch` gets the manifest that a descriptor stands for, unless it is not there.
    pub(crate) fn of(
        root: Manifest,
        mut fetch: impl FnMut(&Descriptor) -> Result<Option<Manifest>>,
    ) -> Result<Self> {
        let mut graph = Self { manifests: Vec::new(), blobs: Vec::new(), missing: Vec::new() };
        let mut seen = HashSet::new();
        let mut todo = vec![root];
        while let Some(manifest) = todo.pop() {
            let links = manifest.links()?;
            for child in &links.manifests {
                if seen.insert(child.digest().clone()) {
                    if graph.manifests.len() + todo.len() > MAX_MANIFESTS {
                        return Err(Error::Damaged(format!("it has more than {MAX_MANIFESTS} manifests")));
                    }
                    match fetch(child)? {
                        Some(manifest) => todo.push(manifest),
                        None => graph.missing.push(child.clone()),
                    }
                }
            }
            for blob in links.config.into_iter().chain(links.layers).chain(links.blobs) {
                if seen.insert(blob.digest().clone()) && !is_elsewhere(&blob) {
                    graph.blobs.push(blob);
                }
            }
            graph.manifests.push(manifest);
        }
        // A registry takes a manifest only when it has what the manifest leads to.
        graph.manifests.reverse();
        Ok(graph)
    }
}

impl Graph {
    /// Itself, if nothing is missing.
    pub(crate) fn whole(self) -> Result<Self> {
        match self.missing.first() {
            Some(child) => Err(Error::Incomplete(format!("the manifest {} is missing", child.digest()))),
            None => Ok(self),
        }
    }
}

/// Whether a layer is none of a registry's: it says itself where it is, and may not be passed on.
fn is_elsewhere(blob: &Descriptor) -> bool {
    let media_type = blob.media_type().to_string();
    blob.urls().as_ref().is_some_and(|urls| !urls.is_empty())
        && (media_type.contains("nondistributable") || media_type.contains("foreign"))
}
