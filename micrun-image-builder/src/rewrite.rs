//! An image made of another one: the same documents with other layers.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use micrun_firmware::annotations::{LAYER_RECORD, PREFIX};
use micrun_firmware::{Firmware, Sha256Digest};
use oci_spec::image::{
    Descriptor, DescriptorBuilder, History, HistoryBuilder, ImageConfiguration, ImageManifest, MediaType,
};
use serde_json::json;

use crate::base::{Base, Platform};
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::{Stored, complete, descriptor};
use crate::json;
use crate::layer::{Compression, Layer};
use crate::names::ImageName;
use crate::sink::{self, Sink};
use crate::timestamp::Timestamp;

/// What Docker calls a layer. The new image's documents are OCI's, and so are their media types.
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// A layer of the new image.
pub(crate) struct NewLayer {
    descriptor: Descriptor,
    diff_id: String,
}

impl NewLayer {
    /// The layer `number` of the base as it is.
    pub(crate) fn kept(base: &Base<'_>, number: usize) -> Self {
        let (mut descriptor, diff_id) = (base.layers()[number].clone(), base.diff_ids()[number].clone());
        if descriptor.media_type().to_string() == DOCKER_LAYER {
            descriptor.set_media_type(MediaType::ImageLayerGzip);
        }
        Self { descriptor, diff_id }
    }

    /// One that was written, with the digest of its record.
    pub(crate) fn written(layer: &Layer, compression: Compression, record: Sha256Digest) -> Self {
        let descriptor = descriptor(compression.media_type(), &layer.blob);
        let diff_id = layer.diff.name();
        Self { descriptor, diff_id }.anchored(record)
    }

    /// The same layer, whose descriptor has the digest of its record.
    pub(crate) fn anchored(mut self, record: Sha256Digest) -> Self {
        let mut annotations = self.descriptor.annotations().clone().unwrap_or_default();
        annotations.insert(LAYER_RECORD.to_owned(), record.to_string());
        self.descriptor.set_annotations(Some(annotations));
        self
    }

    fn blob_path(&self) -> String {
        format!("blobs/{}", self.descriptor.digest().to_string().replace(':', "/"))
    }
}

/// What becomes of the history in the config.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Past {
    Kept,
    /// One more layer was made by this command.
    Continued(&'static str),
    /// All that there was is now one layer, made by this command.
    Replaced(&'static str),
}

/// All that the documents of the new image are made of. The layers are in the sink already.
pub(crate) struct Rewrite<'a> {
    pub(crate) base: &'a Base<'a>,
    pub(crate) name: &'a ImageName,
    pub(crate) layers: &'a [NewLayer],
    pub(crate) past: Past,
    /// A new firmware and its digest, which labels and annotations then state.
    pub(crate) firmware: Option<(&'a Firmware, Sha256Digest)>,
    pub(crate) created: Timestamp,
}

impl Rewrite<'_> {
    /// Writes the documents.
    pub(crate) fn store(&self, sink: &mut dyn Sink) -> io::Result<Stored> {
        let mut manifests = Vec::new();
        let mut platforms = Vec::new();
        let mut first = None;
        for platform in &self.base.platforms {
            let config = sink::put(sink, &json::canonical(&self.config(platform)))?;
            let manifest = sink::put(sink, &json::canonical(&self.manifest(platform, &config)))?;
            let mut entry = descriptor(MediaType::ImageManifest, &manifest);
            entry.set_platform(platform.descriptor.platform().clone());
            manifests.push(entry);
            platforms.push((manifest.name(), config.blob_path()));
            first.get_or_insert(config.blob_path());
        }
        let mut entry = match &self.base.index {
            Some(index) => {
                let mut index = index.clone();
                index.set_media_type(Some(MediaType::ImageIndex));
                index.set_manifests(manifests);
                index.set_annotations(index.annotations().clone().map(|it| self.facts(it)));
                descriptor(MediaType::ImageIndex, &sink::put(sink, &json::canonical(&index))?)
            }
            None => manifests.remove(0),
        };
        entry.set_annotations(Some(self.name.annotations()));
        let layers: Vec<_> = self.layers.iter().map(NewLayer::blob_path).collect();
        let docker = json!([{ "Config": first, "RepoTags": [self.name.full()], "Layers": layers }]);
        Ok(Stored { entry, beside: Vec::new(), replaced: Vec::new(), platforms, docker })
    }

    fn config(&self, platform: &Platform) -> ImageConfiguration {
        let mut document = platform.config.clone();
        let mut rootfs = document.rootfs().clone();
        rootfs.set_diff_ids(self.layers.iter().map(|it| it.diff_id.clone()).collect());
        document.set_rootfs(rootfs);
        let histories = match self.past {
            Past::Kept => return document,
            Past::Continued(by) => {
                let mut histories = document.history().clone().unwrap_or_default();
                histories.push(self.history(by));
                histories
            }
            Past::Replaced(by) => vec![self.history(by)],
        };
        let config = document.config().clone().map(|mut config| {
            config.set_labels(config.labels().clone().map(|labels| self.facts(labels)));
            config
        });
        document.set_created(Some(self.created.rfc3339())).set_history(Some(histories)).set_config(config);
        document
    }

    fn history(&self, by: &str) -> History {
        let history =
            HistoryBuilder::default().created(self.created.rfc3339()).created_by(by).empty_layer(false);
        complete(history.build())
    }

    fn manifest(&self, platform: &Platform, config: &Measured) -> ImageManifest {
        let mut document = platform.manifest.clone();
        let of_config = DescriptorBuilder::default()
            .media_type(MediaType::ImageConfig)
            .size(config.size)
            .digest(config.digest.clone());
        document.set_config(complete(of_config.build()));
        document.set_media_type(Some(MediaType::ImageManifest));
        document.set_annotations(document.annotations().clone().map(|it| self.facts(it)));
        document.set_layers(self.layers.iter().map(|it| it.descriptor.clone()).collect());
        document
    }

    /// Labels or annotations in which the facts that they already state are those of the new firmware. An image for several
    /// boards states what is so for all of them.
    fn facts(&self, mut stated: HashMap<String, String>) -> HashMap<String, String> {
        let Some((firmware, digest)) = self.firmware else { return stated };
        let facts = [
            ("container.firmware_hash", digest.to_string()),
            ("container.os", firmware.settings.os.value.to_string()),
            ("image.machine", firmware.elf.machine.to_string()),
            ("ped.pedestal", firmware.settings.pedestal.value.to_string()),
        ];
        for (name, value) in facts {
            let key = format!("{PREFIX}{name}");
            if firmware.board.is_some() {
                stated.retain(|it, old| *it != key || *old == value);
            } else if let Some(old) = stated.get_mut(&key) {
                *old = value;
            }
        }
        stated
    }
}

/// Copies a layer of the base as it is to `output`, which `sink` writes.
pub(crate) fn copy(
    base: &Base<'_>,
    descriptor: &Descriptor,
    output: &Path,
    sink: &mut dyn Sink,
) -> Result<()> {
    let write = |source| Error::Write { path: output.to_owned(), source };
    let mut blob = base.blob(descriptor)?;
    sink.begin().map_err(write)?;
    io::copy(&mut blob, sink).map_err(write)?;
    blob.verify()?;
    // The blob was verified: this is its digest.
    let Some(hex) = descriptor.as_digest_sha256() else { return Ok(()) };
    let digest = hex.parse().map_err(|_| Error::Damaged(format!("{} is no digest", descriptor.digest())))?;
    sink.end(&Measured { digest, size: descriptor.size() }).map_err(write)
}
