//! The layers of an image as snapshots, so that its first container starts at once.

use micrun_firmware::Sha256Digest;
use oci_spec::image::{Descriptor as Entry, ImageConfiguration, ImageManifest};
use tonic::Code;

use super::api::snapshots::{
    self, ApplyRequest, ApplyResponse, CommitRequest, KeyRequest, PrepareRequest, PrepareResponse,
};
use super::api::{Descriptor, Empty};
use super::client::{Client, is_there};
use super::error::Error;
use super::labels;
use crate::error::{Error as Fault, Result};
use crate::graph::Graph;
use crate::platform::Host;
use crate::say;
use crate::source::Source;

/// Unpacks the image for this machine, if it is for it.
pub(super) async fn run(
    client: &Client,
    lease: &str,
    source: &Source,
    graph: &Graph,
    snapshotter: &str,
) -> Result<()> {
    let Some((manifest, config)) = for_this_machine(source, graph)? else {
        say::usual("note: the image is not for this machine, so it is not unpacked");
        return Ok(());
    };
    let mut parent = String::new();
    for (layer, diff_id) in manifest.layers().iter().zip(config.rootfs().diff_ids()) {
        let name = chain(&parent, diff_id);
        let step = Step { client, lease, snapshotter, parent: &parent, name: &name };
        step.unpack(layer, diff_id).await?;
        parent = name;
    }
    client.label(manifest.config().digest().as_ref(), labels::of_snapshot(snapshotter, &parent)).await
}

/// The manifest that containerd would take here.
fn for_this_machine(source: &Source, graph: &Graph) -> Result<Option<(ImageManifest, ImageConfiguration)>> {
    for manifest in graph.manifests.iter().rev() {
        let Ok(image) = serde_json::from_slice::<ImageManifest>(&manifest.bytes) else { continue };
        let config: ImageConfiguration = source.document(image.config())?;
        if Host::from(&config).is_this_machine() {
            return Ok(Some((image, config)));
        }
    }
    Ok(None)
}

/// What containerd calls the layers up to one (image-spec, config.md, "Layer ChainID").
fn chain(parent: &str, diff_id: &str) -> String {
    if parent.is_empty() {
        return diff_id.to_owned();
    }
    Sha256Digest::of(format!("{parent} {diff_id}").as_bytes()).to_string()
}

/// One layer over the others.
struct Step<'a> {
    client: &'a Client,
    lease: &'a str,
    snapshotter: &'a str,
    /// What the layers below are called, or nothing.
    parent: &'a str,
    name: &'a str,
}

impl Step<'_> {
    async fn unpack(&self, layer: &Entry, diff_id: &str) -> Result<()> {
        if self.is_there().await? {
            return Ok(());
        }
        let key = format!("{}-{}", self.lease, self.name);
        let done = self.apply(&key, layer, diff_id).await;
        if done.is_err() {
            let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key };
            let _: Result<Empty, _> = self.client.call(snapshots::REMOVE, request).await;
        }
        done
    }

    async fn is_there(&self) -> Result<bool> {
        let request = KeyRequest { snapshotter: self.snapshotter.to_owned(), key: self.name.to_owned() };
        match self.client.call::<_, Empty>(snapshots::STAT, request).await {
            Ok(_) => Ok(true),
            Err(status) if status.code() == Code::NotFound => Ok(false),
            Err(status) => {
                let what = format!("look for a snapshot of {}", self.snapshotter);
                Err(Error::refused(what, &status).into())
            }
        }
    }

    async fn apply(&self, key: &str, layer: &Entry, diff_id: &str) -> Result<()> {
        let refused =
            |status| Fault::from(Error::refused(format!("unpack the layer {}", layer.digest()), &status));
        let (snapshotter, labels) = (self.snapshotter.to_owned(), labels::of_layer(self.name));
        let prepare = PrepareRequest {
            snapshotter: snapshotter.clone(),
            key: key.to_owned(),
            parent: self.parent.to_owned(),
            labels: labels.clone(),
        };
        let prepared: Result<PrepareResponse, _> = self.client.call(snapshots::PREPARE, prepare).await;
        let mounts = match prepared {
            Ok(prepared) => prepared.mounts,
            // A snapshotter that had it elsewhere.
            Err(status) if is_there(&status) && self.is_there().await? => return Ok(()),
            Err(status) => return Err(refused(status)),
        };
        let diff = Descriptor {
            media_type: layer.media_type().to_string(),
            digest: layer.digest().to_string(),
            size: i64::try_from(layer.size()).unwrap_or(i64::MAX),
            annotations: Default::default(),
        };
        let apply = ApplyRequest { diff: Some(diff), mounts };
        let applied: ApplyResponse = self.client.call(snapshots::APPLY, apply).await.map_err(refused)?;
        let actual = applied.applied.unwrap_or_default().digest;
        if actual != diff_id {
            let (layer, expected) = (layer.digest().to_string(), diff_id.to_owned());
            return Err(Error::Layer { layer, actual, expected }.into());
        }
        let commit = CommitRequest { snapshotter, name: self.name.to_owned(), key: key.to_owned(), labels };
        match self.client.call::<_, Empty>(snapshots::COMMIT, commit).await {
            // Somebody else has unpacked the same.
            Err(status) if !is_there(&status) => Err(refused(status)),
            _ => Ok(()),
        }
    }
}
