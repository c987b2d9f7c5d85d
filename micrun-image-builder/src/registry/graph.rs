//! What a manifest or an index leads to.

use std::collections::HashSet;

use oci_spec::image::Descriptor;
use serde::Deserialize;

use super::repository::Manifest;
use crate::error::{Error, Result};

/// Manifests of one image. An index of indexes is legal and nobody has deep ones.
const MAX_MANIFESTS: usize = 1000;

/// The parts of manifests, indexes and artifacts that lead on; those of Docker have the same names.
#[derive(Deserialize)]
struct Links {
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    blobs: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

/// An image as a whole: its manifests, the root last, and the blobs that they name, each once.
pub(super) struct Graph {
    pub(super) manifests: Vec<Manifest>,
    pub(super) blobs: Vec<Descriptor>,
}

impl Graph {
    /// Follows all links from `root`. `fetch` gets the manifest that a descriptor stands for.
    pub(super) fn of(root: Manifest, mut fetch: impl FnMut(&Descriptor) -> Result<Manifest>) -> Result<Self> {
        let mut graph = Self { manifests: Vec::new(), blobs: Vec::new() };
        let mut seen = HashSet::new();
        let mut todo = vec![root];
        while let Some(manifest) = todo.pop() {
            let links: Links = serde_json::from_slice(&manifest.bytes)
                .map_err(|source| Error::Json { name: manifest.digest(), source })?;
            for child in &links.manifests {
                if seen.insert(child.digest().clone()) {
                    if graph.manifests.len() + todo.len() > MAX_MANIFESTS {
                        return Err(Error::Damaged(format!("it has more than {MAX_MANIFESTS} manifests")));
                    }
                    todo.push(fetch(child)?);
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

/// Whether a layer is none of a registry's: it says itself where it is, and may not be passed on.
fn is_elsewhere(blob: &Descriptor) -> bool {
    let media_type = blob.media_type().to_string();
    blob.urls().as_ref().is_some_and(|urls| !urls.is_empty())
        && (media_type.contains("nondistributable") || media_type.contains("foreign"))
}
