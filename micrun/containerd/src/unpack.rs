//! The layers of an image as snapshots.

use std::collections::HashMap;

use micrun_firmware::Sha256Digest;
use oci_spec::image::Descriptor as Entry;

use crate::api::snapshots::{
    self, ApplyRequest, ApplyResponse, CommitRequest, KeyRequest, PrepareRequest, PrepareResponse,
};
use crate::api::{Descriptor, Empty};
use crate::client::{Client, is_missing, is_there};
use crate::error::{Error, Result};

/// A layer, and what the config says that it unpacks to.
#[derive(Clone, Copy, Debug)]
pub struct Layer<'a> {
    /// The layer, in the content store.
    pub blob: &'a Entry,
    /// The digest of its archive without compression.
    pub diff_id: &'a str,
}

/// Unpacks layers. The client has a lease, or containerd may remove what is not finished.
#[derive(Clone, Copy)]
pub struct Layers<'a> {
    /// Who unpacks them.
    pub client: &'a Client,
    /// A name that nobody else has at the same time.
    pub name: &'a str,
    /// What holds the snapshots.
    pub snapshotter: &'a str,
}

impl Layers<'_> {
    /// Unpacks those that are not yet; gives the name of the snapshot of all.
    pub async fn unpack(&self, layers: &[Layer<'_>]) -> Result<String> {
        let whole = layers.iter().fold(String::new(), |parent, layer| chain(&parent, layer.diff_id));
        // The last one has all the others below it.
        if layers.is_empty() || self.is_there(&whole).await? {
            return Ok(whole);
        }
        let mut parent = String::new();
        for &layer in layers {
            let name = chain(&parent, layer.diff_id);
            self.layer(layer, &parent, &name).await?;
            parent = name;
        }
        Ok(parent)
    }

    async fn layer(&self, layer: Layer<'_>, parent: &str, name: &str) -> Result<()> {
        if self.is_there(name).await? {
            return Ok(());
        }
        let key = format!("{}-{name}", self.name);
        let done = self.apply(layer, parent, name, &key).await;
        if done.is_err() {
            let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key };
            let _: Result<Empty, _> = self.client.call(snapshots::REMOVE, request).await;
        }
        done
    }

    async fn is_there(&self, name: &str) -> Result<bool> {
        let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key: name.to_owned() };
        match self.client.call::<_, Empty>(snapshots::STAT, request).await {
            Ok(_) => Ok(true),
            Err(status) if is_missing(&status) => Ok(false),
            Err(status) => {
                Err(Error::refused(format!("look for a snapshot of {}", self.snapshotter), &status))
            }
        }
    }

    async fn apply(&self, layer: Layer<'_>, parent: &str, name: &str, key: &str) -> Result<()> {
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
        let prepared: Result<PrepareResponse, _> = self.client.call(snapshots::PREPARE, prepare).await;
        let mounts = match prepared {
            Ok(prepared) => prepared.mounts,
            // A snapshotter that had it elsewhere.
            Err(status) if is_there(&status) && self.is_there(name).await? => return Ok(()),
            Err(status) => return Err(refused(status)),
        };
        let diff = Descriptor {
            media_type: blob.media_type().to_string(),
            digest: blob.digest().to_string(),
            size: i64::try_from(blob.size()).unwrap_or(i64::MAX),
            annotations: HashMap::new(),
        };
        let apply = ApplyRequest { diff: Some(diff), mounts };
        let applied: ApplyResponse = self.client.call(snapshots::APPLY, apply).await.map_err(refused)?;
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
        match self.client.call::<_, Empty>(snapshots::COMMIT, commit).await {
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
