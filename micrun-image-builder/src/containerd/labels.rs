//! Labels that tell containerd's garbage collector what leads to what.

use std::collections::HashMap;

use crate::error::Result;
use crate::graph::Manifest;

/// What a manifest or an index holds, as containerd's own clients label it.
pub(super) fn of(manifest: &Manifest) -> Result<HashMap<String, String>> {
    let links = manifest.links()?;
    let label = |what: &str, digest: &dyn ToString| {
        (format!("containerd.io/gc.ref.content.{what}"), digest.to_string())
    };
    let mut labels = HashMap::new();
    labels.extend(links.config.iter().map(|it| label("config", it.digest())));
    let blobs = links.layers.iter().chain(&links.blobs).enumerate();
    labels.extend(blobs.map(|(at, it)| label(&format!("l.{at}"), it.digest())));
    let manifests = links.manifests.iter().enumerate();
    labels.extend(manifests.map(|(at, it)| label(&format!("m.{at}"), it.digest())));
    Ok(labels)
}
