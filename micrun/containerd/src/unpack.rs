//! The layers of an image as snapshots.

use std::collections::HashMap;

use micrun_firmware::Sha256Digest;
use oci_spec::image::{Descriptor as Entry, ImageConfiguration, ImageManifest};

use crate::api::snapshots::{
    self, ApplyRequest, ApplyResponse, CommitRequest, KeyRequest, PrepareRequest, PrepareResponse,
};
use crate::api::{Descriptor, Empty};
use crate::client::{Client, is_there};
use crate::error::{Error, Result};

/// A layer, and what the config says that it unpacks to.
#[derive(Clone, Copy)]
struct Layer<'a> {
    /// The layer, in the content store.
    blob: &'a Entry,
    /// The digest of its archive without compression.
    diff_id: &'a str,
}

/// The layers of an image, lowest first.
pub struct Layers<'a> {
    /// What holds the snapshots.
    snapshotter: &'a str,
    /// The digest of the image's config.
    config: &'a str,
    list: Vec<Layer<'a>>,
}

impl<'a> Layers<'a> {
    /// Those of a manifest, with what its config says.
    pub fn new(snapshotter: &'a str, manifest: &'a ImageManifest, config: &'a ImageConfiguration) -> Self {
        let pairs = manifest.layers().iter().zip(config.rootfs().diff_ids());
        let list = pairs.map(|(blob, diff_id)| Layer { blob, diff_id }).collect();
        Self { snapshotter, config: manifest.config().digest().as_ref(), list }
    }

    /// The name of the snapshot of all.
    pub fn name(&self) -> String {
        self.list.iter().fold(String::new(), |parent, layer| chain(&parent, layer.diff_id))
    }

    /// Whether all are unpacked: the last one has the others below it.
    pub async fn are_there(&self, client: &Client) -> Result<bool> {
        Ok(self.list.is_empty() || self.is_there(client, &self.name()).await?)
    }

    /// Unpacks those that are not yet; the image holds them then. Whoever does this has a lease, or containerd may remove
    /// what is not finished. `by` is a name that nobody else has at the same time.
    pub async fn unpack(&self, client: &Client, by: &str) -> Result<()> {
        let mut parent = String::new();
        for &layer in &self.list {
            let name = chain(&parent, layer.diff_id);
            self.layer(client, layer, &parent, &name, by).await?;
            parent = name;
        }
        let label = (format!("containerd.io/gc.ref.snapshot.{}", self.snapshotter), parent);
        client.label(self.config, [label].into()).await
    }

    async fn layer(
        &self,
        client: &Client,
        layer: Layer<'_>,
        parent: &str,
        name: &str,
        by: &str,
    ) -> Result<()> {
        if self.is_there(client, name).await? {
            return Ok(());
        }
        let key = format!("{by}-{name}");
        let done = self.apply(client, layer, parent, name, &key).await;
        if done.is_err() {
            let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key };
            let _: Result<Empty, _> = client.call(snapshots::REMOVE, request).await;
        }
        done
    }

    async fn is_there(&self, client: &Client, name: &str) -> Result<bool> {
        let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key: name.to_owned() };
        let what = format!("look for a snapshot of {}", self.snapshotter);
        Ok(client.ask_of::<_, Empty>(snapshots::STAT, request, what).await?.is_some())
    }

    async fn apply(
        &self,
        client: &Client,
        layer: Layer<'_>,
        parent: &str,
        name: &str,
        key: &str,
    ) -> Result<()> {
        let blob = layer.blob;
        let refused = |status| Error::refused(format!("unpack the layer {}", blob.digest()), &status);
        // By which its committed name is found.
        let labels: HashMap<_, _> = [("containerd.io/snapshot.ref".to_owned(), name.to_owned())].into();
        let prepare = PrepareRequest {
            snapshotter: self.snapshotter.to_owned(),
            key: key.to_owned(),
            parent: parent.to_owned(),
            labels: labels.clone(),
        };
        let prepared: Result<PrepareResponse, _> = client.call(snapshots::PREPARE, prepare).await;
        let mounts = match prepared {
            Ok(prepared) => prepared.mounts,
            // A snapshotter that had it elsewhere.
            Err(status) if is_there(&status) && self.is_there(client, name).await? => return Ok(()),
            Err(status) => return Err(refused(status)),
        };
        let diff = Descriptor {
            media_type: blob.media_type().to_string(),
            digest: blob.digest().to_string(),
            size: i64::try_from(blob.size()).unwrap_or(i64::MAX),
            annotations: HashMap::new(),
        };
        let apply = ApplyRequest { diff: Some(diff), mounts };
        let applied: ApplyResponse = client.call(snapshots::APPLY, apply).await.map_err(refused)?;
        let actual = applied.applied.unwrap_or_default().digest;
        if actual != layer.diff_id {
            let (layer, expected) = (blob.digest().to_string(), layer.diff_id.to_owned());
            return Err(Error::Layer { layer, actual, expected });
        }
        let commit = CommitRequest {
            snapshotter: self.snapshotter.to_owned(),
            name: name.to_owned(),
            key: key.to_owned(),
            labels,
        };
        match client.call::<_, Empty>(snapshots::COMMIT, commit).await {
            // Somebody else has unpacked the same.
            Err(status) if !is_there(&status) => Err(refused(status)),
            _ => Ok(()),
        }
    }
}

/// What containerd calls the layers up to one (image-spec, config.md, "Layer `ChainID`").
fn chain(parent: &str, diff_id: &str) -> String {
    if parent.is_empty() {
        return diff_id.to_owned();
    }
    Sha256Digest::of(format!("{parent} {diff_id}").as_bytes()).to_string()
}
