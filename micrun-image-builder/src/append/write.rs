//! The documents of an image with one more layer, and how they are stored.

use std::collections::{BTreeSet, HashMap};
use std::io::{self, Seek};
use std::path::Path;

use micrun_firmware::annotations::{LAYER_RECORD, PREFIX};
use micrun_firmware::record::{self, LayerRecord};
use micrun_firmware::{Firmware, Sha256Digest};
use oci_spec::image::{
    Descriptor, DescriptorBuilder, HistoryBuilder, ImageConfiguration, ImageManifest, MediaType,
};
use serde_json::json;

use super::edits::{Changed, Edits};
use crate::base::{Base, Platform};
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::{Stored, complete, descriptor};
use crate::json;
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::names::ImageName;
use crate::sink::{self, Sink};
use crate::timestamp::Timestamp;

/// All that the new image is made of.
pub(super) struct Update<'a> {
    pub(super) base: &'a Base<'a>,
    pub(super) name: &'a ImageName,
    pub(super) output: &'a Path,
    pub(super) changed: &'a [Changed],
    pub(super) missing: &'a [String],
    pub(super) record: &'a LayerRecord,
    /// How many layers there are below.
    pub(super) number: u32,
    /// What a shim will run.
    pub(super) firmware: Option<&'a Firmware>,
    /// The digest of a new firmware.
    pub(super) digest: Option<Sha256Digest>,
    pub(super) compression: Compression,
    pub(super) created: Timestamp,
}

/// What was written.
pub(super) struct Written {
    pub(super) digest: String,
    /// The new layer, if anything changes.
    pub(super) layer: Option<Layer>,
}

/// The directories that the layer adds, as far as the image has none there. To be asked before the changes are made.
pub(super) fn directories(edits: &Edits<'_>, changed: &[Changed], number: u32) -> Vec<String> {
    let record = record::path(number);
    let added = changed.iter().filter(|it| it.after.is_some()).map(|it| it.path.as_str());
    let paths = added.chain([record.trim_start_matches('/')]);
    let directories: BTreeSet<_> = paths.flat_map(|path| edits.missing_directories(path)).collect();
    directories.into_iter().collect()
}

/// Writes the image.
pub(super) fn image(update: &Update<'_>) -> Result<Written> {
    let mut sink = sink::create(update.output, update.created.seconds())?;
    let write = |source| Error::Write { path: update.output.to_owned(), source };
    for descriptor in update.base.layers() {
        copy(update, descriptor, sink.as_mut())?;
    }
    let record = update.record.to_json()?;
    let layer = match update.changed {
        [] => None,
        _ => Some(update.layer(&record, sink.as_mut()).map_err(write)?),
    };
    let stored = update.documents(layer.as_ref(), &record, sink.as_mut()).map_err(write)?;
    let digest = stored.entry.digest().to_string();
    sink.commit(stored)?;
    Ok(Written { digest, layer })
}

/// Copies a layer of the base as it is.
fn copy(update: &Update<'_>, descriptor: &Descriptor, sink: &mut dyn Sink) -> Result<()> {
    let write = |source| Error::Write { path: update.output.to_owned(), source };
    let mut blob = update.base.blob(descriptor)?;
    sink.begin().map_err(write)?;
    io::copy(&mut blob, sink).map_err(write)?;
    blob.verify()?;
    // The blob was verified: this is its digest.
    let Some(hex) = descriptor.as_digest_sha256() else { return Ok(()) };
    let digest = hex.parse().map_err(|_| Error::Damaged(format!("{} is no digest", descriptor.digest())))?;
    sink.end(&Measured { digest, size: descriptor.size() }).map_err(write)
}

impl Update<'_> {
    fn layer(&self, record: &[u8], sink: &mut dyn Sink) -> io::Result<Layer> {
        let record_path = record::path(self.number);
        let whiteouts: Vec<String> = self.changed.iter().map(|it| whiteout(&it.path)).collect();
        let mut files = Vec::new();
        for changed in self.changed {
            let file = changed.after.as_ref().map(|(file, _, size)| (file, *size));
            if let Some((mut file, _)) = file {
                file.rewind()?;
            }
            files.push(file);
        }
        let mut entries = vec![Entry::Bytes { path: record_path.trim_start_matches('/'), content: record }];
        entries.extend(self.missing.iter().map(|path| Entry::Directory { path }));
        for ((changed, whiteout), file) in self.changed.iter().zip(&whiteouts).zip(&mut files) {
            entries.push(match (file, &changed.link) {
                (Some(_), Some(target)) => Entry::Link { path: &changed.path, target },
                (Some((file, size)), None) => {
                    Entry::File { path: &changed.path, mode: FILE_MODE, size: *size, content: file }
                }
                (None, _) => Entry::Bytes { path: whiteout, content: b"" },
            });
        }
        entries.sort_by(|one, other| one.path().cmp(other.path()));
        sink.begin()?;
        let layer = layer::write(sink, entries, self.compression, self.created.seconds())?;
        sink.end(&layer.blob)?;
        sink::say_written(&layer.blob);
        Ok(layer)
    }

    fn documents(&self, layer: Option<&Layer>, record: &[u8], sink: &mut dyn Sink) -> io::Result<Stored> {
        let mut manifests = Vec::new();
        let mut platforms = Vec::new();
        let mut first = None;
        for platform in &self.base.platforms {
            let config = sink::put(sink, &json::canonical(&self.config(platform, layer)))?;
            let manifest = self.manifest(platform, layer, record, &config);
            let layers = blob_paths(manifest.layers());
            let manifest = sink::put(sink, &json::canonical(&manifest))?;
            let mut entry = descriptor(MediaType::ImageManifest, &manifest);
            entry.set_platform(platform.descriptor.platform().clone());
            manifests.push(entry);
            platforms.push((format!("sha256:{}", manifest.digest.digest()), config.blob_path()));
            first.get_or_insert((config.blob_path(), layers));
        }
        let mut entry = match (&self.base.index, manifests.len()) {
            (Some(index), _) => {
                let mut index = index.clone();
                index.set_manifests(manifests);
                index.set_annotations(index.annotations().clone().map(|it| self.facts(it)));
                descriptor(MediaType::ImageIndex, &sink::put(sink, &json::canonical(&index))?)
            }
            (None, _) => manifests.remove(0),
        };
        entry.set_annotations(Some(self.name.annotations()));
        let (config, layers) = first.unwrap_or_default();
        let docker = json!([{ "Config": config, "RepoTags": [self.name.full()], "Layers": layers }]);
        Ok(Stored { entry, beside: Vec::new(), replaced: Vec::new(), platforms, docker })
    }

    fn config(&self, platform: &Platform, layer: Option<&Layer>) -> ImageConfiguration {
        let mut document = platform.config.clone();
        let Some(layer) = layer else { return document };
        let mut rootfs = document.rootfs().clone();
        let mut diff_ids = rootfs.diff_ids().clone();
        diff_ids.push(format!("sha256:{}", layer.diff.digest.digest()));
        rootfs.set_diff_ids(diff_ids);
        let history = HistoryBuilder::default()
            .created(self.created.rfc3339())
            .created_by("micrun-image-builder append")
            .empty_layer(false);
        let mut histories = document.history().clone().unwrap_or_default();
        histories.push(complete(history.build()));
        let config = document.config().clone().map(|mut config| {
            config.set_labels(config.labels().clone().map(|labels| self.facts(labels)));
            config
        });
        document
            .set_created(Some(self.created.rfc3339()))
            .set_rootfs(rootfs)
            .set_history(Some(histories))
            .set_config(config);
        document
    }

    fn manifest(
        &self,
        platform: &Platform,
        layer: Option<&Layer>,
        record: &[u8],
        config: &Measured,
    ) -> ImageManifest {
        let mut document = platform.manifest.clone();
        let of_config = DescriptorBuilder::default()
            .media_type(document.config().media_type().clone())
            .size(config.size)
            .digest(config.digest.clone());
        document.set_config(complete(of_config.build()));
        document.set_annotations(document.annotations().clone().map(|it| self.facts(it)));
        if let Some(layer) = layer {
            let mut descriptor = descriptor(self.compression.media_type(), &layer.blob);
            let digest = Sha256Digest::of(record).to_string();
            descriptor.set_annotations(Some(HashMap::from([(LAYER_RECORD.to_owned(), digest)])));
            let mut layers = document.layers().clone();
            layers.push(descriptor);
            document.set_layers(layers);
        }
        document
    }

    /// Labels or annotations in which the facts that they already state are those of the new firmware.
    fn facts(&self, mut stated: HashMap<String, String>) -> HashMap<String, String> {
        let (Some(firmware), Some(digest)) = (self.firmware, self.digest) else { return stated };
        let facts = [
            ("container.firmware_hash", digest.to_string()),
            ("container.os", firmware.settings.os.value.to_string()),
            ("image.machine", firmware.elf.machine.to_string()),
            ("ped.pedestal", firmware.settings.pedestal.value.to_string()),
        ];
        for (name, value) in facts {
            if let Some(old) = stated.get_mut(&format!("{PREFIX}{name}")) {
                *old = value;
            }
        }
        stated
    }
}

fn blob_paths(layers: &[Descriptor]) -> Vec<String> {
    layers.iter().map(|it| format!("blobs/{}", it.digest().to_string().replace(':', "/"))).collect()
}

/// What removes a file (image-spec, layer.md).
fn whiteout(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((parent, name)) => format!("{parent}/.wh.{name}"),
        None => format!(".wh.{path}"),
    }
}
