//! An image in containerd: its config, and its layers as a snapshot.

use micrun_containerd::api::images::{self, GetRequest, Response};
use micrun_containerd::{Client, Error as Refusal, Layer, Layers, platform};
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// What a container is made of.
pub(crate) struct Image {
    /// The layers' snapshot.
    pub(crate) snapshot: String,
    pub(crate) config: ImageConfiguration,
}

/// The image of this name for this machine, unpacked.
pub(crate) async fn find(client: &Client, name: &str, lease: &str, snapshotter: &str) -> Result<Image> {
    let request = GetRequest { name: name.to_owned() };
    let found: Response = client
        .call(images::GET, request)
        .await
        .map_err(|status| Refusal::refused(format!("find the image {name}"), &status))?;
    let root = found.image.and_then(|it| it.target).unwrap_or_default();
    let reader = Reader { client, name };
    let (manifest, config) = reader.for_this_machine(&root.digest).await?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != manifest.layers().len() {
        return Err(reader.wrong("its config and its manifest do not agree on its layers"));
    }
    let pairs = manifest.layers().iter().zip(diff_ids);
    let layers: Vec<_> = pairs.map(|(blob, diff_id)| Layer { blob, diff_id }).collect();
    let snapshot = Layers { client, name: lease, snapshotter }.unpack(&layers).await?;
    Ok(Image { snapshot, config })
}

struct Reader<'a> {
    client: &'a Client,
    name: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, reason: impl Into<String>) -> Error {
        Error::Image { name: self.name.to_owned(), reason: reason.into() }
    }

    async fn document<T: DeserializeOwned>(&self, digest: &str) -> Result<T> {
        let mut bytes = Vec::new();
        self.client.get(digest, &mut bytes).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| self.wrong(format!("{digest} is not as expected: {error}")))
    }

    /// What containerd would take: of the manifests that fit best, the first.
    async fn for_this_machine(&self, root: &str) -> Result<(ImageManifest, ImageConfiguration)> {
        let document: serde_json::Value = self.document(root).await?;
        if document.get("manifests").is_none() {
            let manifest: ImageManifest = self.document(root).await?;
            let config = self.document(manifest.config().digest().as_ref()).await?;
            return Ok((manifest, config));
        }
        let index: ImageIndex = self.document(root).await?;
        let mut best: Option<(usize, ImageManifest, ImageConfiguration)> = None;
        for entry in index.manifests() {
            if !may_fit(entry) || !self.client.has(entry.digest().as_ref()).await? {
                continue;
            }
            let manifest: ImageManifest = self.document(entry.digest().as_ref()).await?;
            let config: ImageConfiguration = self.document(manifest.config().digest().as_ref()).await?;
            let variant = config.variant().as_deref();
            let rank = platform::rank(&config.os().to_string(), &config.architecture().to_string(), variant);
            if let Some(rank) = rank.filter(|rank| best.as_ref().is_none_or(|(least, ..)| rank < least)) {
                best = Some((rank, manifest, config));
            }
        }
        let (_, manifest, config) =
            best.ok_or_else(|| self.wrong("none of its platforms is this machine's"))?;
        Ok((manifest, config))
    }
}

/// Whether an entry of an index says nothing of its platform, or this machine's.
fn may_fit(entry: &Descriptor) -> bool {
    entry.platform().as_ref().is_none_or(|it| {
        let (os, arch) = (it.os().to_string(), it.architecture().to_string());
        platform::rank(&os, &arch, it.variant().as_deref()).is_some()
    })
}
