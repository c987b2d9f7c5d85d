//! The documents of an image: config, manifest, index, and how they are stored.

use std::collections::{BTreeMap, HashMap};
use std::{io, iter};

use micrun_firmware::annotations::LAYER_RECORD;
use oci_spec::image::{
    ANNOTATION_CREATED, ANNOTATION_TITLE, ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder,
    ImageConfiguration, ImageIndexBuilder, ImageManifestBuilder, MediaType, RootFsBuilder,
};
use serde_json::{Value, json};

use crate::digest::Measured;
use crate::json;
use crate::layer::{Compression, Layer};
use crate::names::ImageName;
use crate::platform::Host;
use crate::sink::{self, Sink};
use crate::timestamp::Timestamp;

/// What an image says about its one layer.
pub(crate) struct Image<'a> {
    pub(crate) name: &'a ImageName,
    pub(crate) title: &'a str,
    pub(crate) hosts: &'a [Host],
    pub(crate) cmd: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) layer: &'a Layer,
    pub(crate) compression: Compression,
    /// `sha256:...` of the layer's modification record.
    pub(crate) record: String,
    pub(crate) created: Timestamp,
}

/// What leads to a stored image.
pub(crate) struct Stored {
    /// The entry in `index.json`: what the name stands for.
    pub(crate) entry: Descriptor,
    /// Further entries: what is attached to the image.
    pub(crate) beside: Vec<Descriptor>,
    /// Digests of entries that these replace.
    pub(crate) replaced: Vec<String>,
    /// The digests of manifest and config for each host.
    pub(crate) platforms: Vec<(String, String)>,
    /// The document `manifest.json` of Docker's archives: the image for the first host.
    ///
    /// <https://github.com/moby/docker-image-spec/blob/main/v1.2.md>
    pub(crate) docker: Value,
}

impl Stored {
    /// All its entries for `index.json`.
    pub(crate) fn entries(&self) -> Vec<Descriptor> {
        iter::once(&self.entry).chain(&self.beside).cloned().collect()
    }
}

impl Image<'_> {
    /// Stores config and manifest for every host, and an index above them if there are several.
    pub(crate) fn store(&self, sink: &mut dyn Sink) -> io::Result<Stored> {
        let mut manifests = Vec::new();
        let mut platforms = Vec::new();
        let mut first = None;
        for host in self.hosts {
            let config = sink::put(sink, &json::canonical(&self.config(host)))?;
            let manifest = sink::put(sink, &self.manifest(&config))?;
            let mut descriptor = descriptor(MediaType::ImageManifest, &manifest);
            descriptor.set_platform(Some(host.to_oci()));
            manifests.push(descriptor);
            platforms.push((manifest.name(), config.name()));
            first.get_or_insert(config.blob_path());
        }
        let mut entry = match manifests.len() {
            1 => manifests.remove(0),
            _ => descriptor(MediaType::ImageIndex, &sink::put(sink, &self.index(manifests))?),
        };
        entry.set_annotations(Some(self.name.annotations()));
        // Docker before 25 and crane take an archive's one image for every host.
        let docker = json!([{
            "Config": first,
            "RepoTags": [self.name.full()],
            "Layers": [self.layer.blob.blob_path()],
        }]);
        Ok(Stored { entry, beside: Vec::new(), replaced: Vec::new(), platforms, docker })
    }

    fn config(&self, host: &Host) -> ImageConfiguration {
        let config = ConfigBuilder::default()
            .cmd(self.cmd.clone())
            .working_dir("/")
            .labels(self.labels.clone().into_iter().collect::<HashMap<_, _>>());
        let history = HistoryBuilder::default()
            .created(self.created.rfc3339())
            .created_by(format!("micrun-image-builder pack {}", self.title))
            .empty_layer(false);
        let rootfs = RootFsBuilder::default().typ("layers").diff_ids(vec![self.layer.diff.name()]);
        let mut document = ImageConfiguration::default();
        document
            .set_created(Some(self.created.rfc3339()))
            .set_architecture(host.arch())
            .set_os(host.os())
            .set_variant(host.variant().map(str::to_owned))
            .set_config(Some(complete(config.build())))
            .set_rootfs(complete(rootfs.build()))
            .set_history(Some(vec![complete(history.build())]));
        document
    }

    fn manifest(&self, config: &Measured) -> Vec<u8> {
        let mut layer = descriptor(self.compression.media_type(), &self.layer.blob);
        layer.set_annotations(Some(HashMap::from([(LAYER_RECORD.to_owned(), self.record.clone())])));
        let mut annotations: HashMap<_, _> = self.annotations.clone().into_iter().collect();
        annotations.entry(ANNOTATION_CREATED.to_owned()).or_insert_with(|| self.created.rfc3339());
        annotations.entry(ANNOTATION_TITLE.to_owned()).or_insert_with(|| self.title.to_owned());
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(descriptor(MediaType::ImageConfig, config))
            .layers(vec![layer])
            .annotations(annotations);
        json::canonical(&complete(manifest.build()))
    }

    fn index(&self, manifests: Vec<Descriptor>) -> Vec<u8> {
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .annotations(self.annotations.clone().into_iter().collect::<HashMap<_, _>>());
        json::canonical(&complete(index.build()))
    }
}

pub(crate) fn descriptor(media_type: MediaType, blob: &Measured) -> Descriptor {
    let builder =
        DescriptorBuilder::default().media_type(media_type).size(blob.size).digest(blob.digest.clone());
    complete(builder.build())
}

/// A builder of oci-spec fails only for a field that was not set; every caller here sets all that are required.
pub(crate) fn complete<T>(built: oci_spec::Result<T>) -> T {
    #[expect(clippy::expect_used, reason = "all required fields are set above")]
    built.expect("complete")
}
