//! An image as a whole, written to an archive or a layout: its blobs and manifests as they are.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;

use oci_spec::image::{Descriptor, ImageManifest, MediaType};
use serde_json::{Value, json};

use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::graph::{Graph, Manifest};
use crate::image::{self, Stored};
use crate::sink;
use crate::timestamp::Timestamp;

/// Writes the image whose root is the last manifest of the last of `graphs`, with all that is in the others. Gives its
/// digest.
///
/// `annotations` are those of the entry in `index.json`, and `docker` is the name for Docker. `copy` writes the content
/// of a blob, verified.
pub(crate) fn store(
    output: &Path,
    annotations: HashMap<String, String>,
    docker: Option<&str>,
    graphs: &[&Graph],
    copy: impl FnMut(&Descriptor, &mut dyn Write) -> Result<()>,
) -> Result<String> {
    store_with(&[], output, annotations, docker, graphs, copy)
}

/// The same, with artifacts about the image: their entries for `index.json`, and all that they lead to.
pub(crate) fn store_with(
    artifacts: &[(Descriptor, &Graph)],
    output: &Path,
    annotations: HashMap<String, String>,
    docker: Option<&str>,
    graphs: &[&Graph],
    mut copy: impl FnMut(&Descriptor, &mut dyn Write) -> Result<()>,
) -> Result<String> {
    let write = |source| Error::Write { path: output.to_owned(), source };
    let mut sink = sink::create(output, Timestamp::from_env()?.seconds())?;
    let mut seen = HashSet::new();
    let all = || artifacts.iter().map(|(_, graph)| *graph).chain(graphs.iter().copied());
    for blob in all().flat_map(|graph| &graph.blobs) {
        let digest = blob.as_digest_sha256().and_then(|it| it.parse().ok());
        let Some(digest) = digest else {
            return Err(Error::Damaged(format!("{} is not a sha256 digest", blob.digest())));
        };
        if !seen.insert(blob.digest().to_string()) {
            continue;
        }
        sink.begin().map_err(write)?;
        copy(blob, &mut sink)?;
        let measured = Measured { digest, size: blob.size() };
        sink.end(&measured).map_err(write)?;
        sink::say_written(&measured);
    }
    for manifest in all().flat_map(|graph| &graph.manifests) {
        if seen.insert(manifest.digest()) {
            sink::put(&mut *sink, &manifest.bytes).map_err(write)?;
        }
    }
    let manifests: Vec<_> = graphs.iter().flat_map(|graph| &graph.manifests).collect();
    let Some(root) = manifests.last() else {
        return Err(Error::Damaged("it has no manifest".to_owned()));
    };
    let mut entry = image::descriptor(MediaType::from(root.media_type.as_str()), &root.blob);
    entry.set_annotations(Some(annotations));
    let docker = for_docker(docker, &manifests);
    let beside = artifacts.iter().map(|(entry, _)| entry.clone()).collect();
    sink.commit(Stored { entry, beside, replaced: Vec::new(), platforms: Vec::new(), docker })?;
    Ok(root.digest())
}

/// `manifest.json` of Docker's archives: the first image of those here.
fn for_docker(name: Option<&str>, manifests: &[&Manifest]) -> Value {
    let images = manifests.iter().filter_map(|it| serde_json::from_slice::<ImageManifest>(&it.bytes).ok());
    let path = |it: &Descriptor| format!("blobs/sha256/{}", it.digest().digest());
    images
        .take(1)
        .map(|image| {
            let layers: Vec<_> = image.layers().iter().map(path).collect();
            json!({"Config": path(image.config()), "RepoTags": Vec::from_iter(name), "Layers": layers})
        })
        .collect()
}
