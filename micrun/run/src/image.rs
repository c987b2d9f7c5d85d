//! An image in containerd: its config, and its layers as a snapshot.

use micrun_containerd::api::images::{self, GetRequest, Response};
use micrun_containerd::{Client, Layers, platform};
use oci_spec::image::{Arch, Descriptor, ImageConfiguration, ImageIndex, ImageManifest, Os};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Result};

/// What a container is made of.
pub(crate) struct Image {
    /// The layers' snapshot.
    pub(crate) snapshot: String,
    pub(crate) config: ImageConfiguration,
}

/// The image of this name for this machine, unpacked. `lease` is a name that nobody else has.
pub(crate) async fn find(client: &mut Client, name: &str, lease: &str, snapshotter: &str) -> Result<Image> {
    let request = GetRequest { name: name.to_owned() };
    let found: Response = client.ask(images::GET, request, format!("find the image {name}")).await?;
    let root = found.image.and_then(|it| it.target).unwrap_or_default();
    let reader = Reader { client, name };
    let (manifest, config) = reader.for_this_machine(&root.digest).await?;
    if config.rootfs().diff_ids().len() != manifest.layers().len() {
        return Err(reader.wrong("its config and its manifest do not agree on its layers"));
    }
    let layers = Layers::new(snapshotter, &manifest, &config);
    if !layers.are_there(client).await? {
        client.lease(lease).await?;
        let unpacked = layers.unpack(client, lease).await;
        client.release(lease, false).await?;
        unpacked?;
    }
    Ok(Image { snapshot: layers.name(), config })
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
        self.read(digest, serde_json::from_slice(&self.client.document(digest).await?))
    }

    fn read<T>(&self, digest: &str, read: serde_json::Result<T>) -> Result<T> {
        read.map_err(|error| self.wrong(format!("{digest} is not as expected: {error}")))
    }

    /// What containerd would take: of the manifests that fit best, the first.
    async fn for_this_machine(&self, root: &str) -> Result<(ImageManifest, ImageConfiguration)> {
        let document: Value = self.document(root).await?;
        if document.get("manifests").is_none() {
            let manifest: ImageManifest = self.read(root, serde_json::from_value(document))?;
            let config = self.document(manifest.config().digest().as_ref()).await?;
            return Ok((manifest, config));
        }
        let index: ImageIndex = self.read(root, serde_json::from_value(document))?;
        let mut fit = Vec::new();
        for entry in index.manifests().iter().filter(|it| may_fit(it)) {
            let manifest: ImageManifest = match self.document(entry.digest().as_ref()).await {
                // Only what was pulled is there.
                Err(Error::Containerd(error)) if error.is_missing() => continue,
                manifest => manifest?,
            };
            let config: ImageConfiguration = self.document(manifest.config().digest().as_ref()).await?;
            if let Some(rank) = rank(config.os(), config.architecture(), config.variant().as_deref()) {
                fit.push((rank, manifest, config));
            }
        }
        let best = fit.into_iter().min_by_key(|(rank, ..)| *rank);
        let (_, manifest, config) =
            best.ok_or_else(|| self.wrong("none of its platforms is this machine's"))?;
        Ok((manifest, config))
    }
}

/// Whether an entry of an index says nothing of its platform, or this machine's.
fn may_fit(entry: &Descriptor) -> bool {
    let platform = entry.platform().as_ref();
    platform.is_none_or(|it| rank(it.os(), it.architecture(), it.variant().as_deref()).is_some())
}

fn rank(os: &Os, arch: &Arch, variant: Option<&str>) -> Option<usize> {
    platform::rank(&os.to_string(), &arch.to_string(), variant)
}
