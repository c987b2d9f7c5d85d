//! The further layer, and how the image with it is stored.

use std::collections::BTreeSet;
use std::io::{self, Seek};
use std::path::Path;

use micrun_firmware::record::{self, LayerRecord};
use micrun_firmware::{Firmware, Sha256Digest};

use super::edits::{Changed, Edits};
use crate::base::Base;
use crate::error::{Error, Result};
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::names::ImageName;
use crate::rewrite::{self, NewLayer, Past, Rewrite};
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
    let base = update.base;
    let mut layers = Vec::new();
    for (number, descriptor) in base.layers().iter().enumerate() {
        rewrite::copy(base, descriptor, update.output, sink.as_mut())?;
        layers.push(NewLayer::kept(base, number));
    }
    let layer = if update.changed.is_empty() {
        None
    } else {
        let record = update.record.to_json()?;
        let layer = update.layer(&record, sink.as_mut()).map_err(write)?;
        layers.push(NewLayer::written(&layer, update.compression, Sha256Digest::of(&record)));
        Some(layer)
    };
    let rewrite = Rewrite {
        base,
        name: update.name,
        layers: &layers,
        past: if layer.is_some() { Past::Continued("micrun-image-builder append") } else { Past::Kept },
        firmware: update.firmware.zip(update.digest),
        created: update.created,
    };
    let stored = rewrite.store(sink.as_mut()).map_err(write)?;
    let digest = stored.entry.digest().to_string();
    sink.commit(stored)?;
    Ok(Written { digest, layer })
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
}

/// What removes a file (image-spec, layer.md).
fn whiteout(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((parent, name)) => format!("{parent}/.wh.{name}"),
        None => format!(".wh.{path}"),
    }
}
