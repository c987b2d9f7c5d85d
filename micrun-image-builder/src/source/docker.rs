//! An archive of `docker save` before Docker 25, and of others since: `manifest.json` instead of `index.json`.
//!
//! <https://github.com/moby/docker-image-spec/blob/main/v1.2.md>

use std::collections::HashMap;
use std::io::{self, Read};

use oci_spec::image::{
    Descriptor, DescriptorBuilder, ImageIndex, ImageManifestBuilder, MediaType, SCHEMA_VERSION,
};
use serde::Deserialize;

use super::{Source, Store, parse};
use crate::compressed::Format;
use crate::digest::{Measured, MeteredReader};
use crate::error::{Error, Result};
use crate::json;
use crate::names;

const MANIFEST: &str = "manifest.json";

/// An image of the archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Source {
    /// Makes an archive of Docker's a layout: its blobs get names, its images manifests. `false` if it is none.
    pub(super) fn adopt_docker(&mut self) -> Result<bool> {
        let Some(bytes) = self.small_file(MANIFEST)? else { return Ok(false) };
        let mut entries = Vec::new();
        for saved in parse::<Vec<Saved>>(MANIFEST, &bytes)? {
            let config = self.adopt(&saved.config, |_| MediaType::ImageConfig)?;
            let layers = saved.layers.iter().map(|path| self.adopt(path, layer_type));
            let manifest = ImageManifestBuilder::default()
                .schema_version(SCHEMA_VERSION)
                .media_type(MediaType::ImageManifest)
                .layers(layers.collect::<Result<Vec<_>>>()?)
                .config(config);
            #[expect(clippy::expect_used, reason = "all required fields are set above")]
            let bytes = json::canonical(&manifest.build().expect("complete"));
            let blob = Measured::of(&bytes);
            let entry = descriptor(MediaType::ImageManifest, &blob);
            self.made.insert(blob.blob_path(), bytes);
            let names = saved.repo_tags.unwrap_or_default();
            entries.extend(names.iter().map(|name| {
                let mut entry = entry.clone();
                entry.set_annotations(Some(HashMap::from([(names::IMAGE_NAME.to_owned(), name.clone())])));
                entry
            }));
            if names.is_empty() {
                entries.push(entry);
            }
        }
        let mut index = ImageIndex::default();
        index.set_manifests(entries);
        self.made.insert("index.json".to_owned(), json::canonical(&index));
        Ok(true)
    }

    /// Gives a file of the archive the name that it has as a blob.
    fn adopt(&mut self, path: &str, media_type: fn(&[u8]) -> MediaType) -> Result<Descriptor> {
        let missing = || Error::Incomplete(format!("{MANIFEST} names {path:?}, which is missing"));
        let read = |source| Error::Read { path: self.path.clone(), source };
        let (content, _) = self.file(path)?.ok_or_else(missing)?;
        let (start, blob) = measure(content).map_err(read)?;
        let descriptor = descriptor(media_type(&start), &blob);
        if let Store::Archive { files, .. } = &mut self.store
            && let Some(place) = files.get(path).copied()
        {
            files.insert(blob.blob_path(), place);
        }
        Ok(descriptor)
    }
}

/// The first bytes of a file, and what all of it is.
fn measure(content: impl Read) -> io::Result<(Vec<u8>, Measured)> {
    let mut content = MeteredReader::new(content);
    let mut start = Vec::new();
    content.by_ref().take(6).read_to_end(&mut start)?;
    Ok((start, content.drain()?))
}

fn layer_type(start: &[u8]) -> MediaType {
    match Format::of_content(start) {
        Format::Gzip => MediaType::ImageLayerGzip,
        Format::Zstd => MediaType::ImageLayerZstd,
        Format::Plain | Format::Xz => MediaType::ImageLayer,
    }
}

fn descriptor(media_type: MediaType, blob: &Measured) -> Descriptor {
    let built =
        DescriptorBuilder::default().media_type(media_type).size(blob.size).digest(blob.digest.clone());
    #[expect(clippy::expect_used, reason = "all required fields are set above")]
    built.build().expect("complete")
}
