//! `records --rebuild`: the same image, with a record in each layer.

use std::io::{self, Cursor, Read};
use std::path::Path;

use micrun_firmware::{Sha256Digest, record};
use oci_spec::image::Descriptor;
use tar::EntryType;

use super::make;
use crate::base::Base;
use crate::error::{Error, Result};
use crate::inspect::Recorded;
use crate::layer::{self, BLOCK, Compression, FILE_MODE, Layer};
use crate::layers::{Budget, end_of_entries};
use crate::names::ImageName;
use crate::rewrite::{self, NewLayer, Past, Rewrite};
use crate::sink;
use crate::timestamp::Timestamp;

/// Writes the image; gives its digest and how many layers have a new record.
pub(super) fn run(
    base: &Base<'_>,
    image: &Path,
    records: &[Option<Recorded>],
    name: &ImageName,
    output: &Path,
    created: Timestamp,
) -> Result<(String, usize)> {
    let mut sink = sink::create(output, created.seconds())?;
    let write = |source| Error::Write { path: output.to_owned(), source };
    let mut layers = Vec::new();
    let mut made = 0;
    for (number, (descriptor, found)) in base.layers().iter().zip(records).enumerate() {
        if let Some(found) = found {
            rewrite::copy(base, descriptor, output, sink.as_mut())?;
            layers.push(NewLayer::kept(base, number).anchored(found.digest));
            continue;
        }
        let record = make::of_layer(base, image, number)?.to_json()?;
        let compression = compression(descriptor);
        let tar = || base.tar(descriptor).map_err(|e| base.fault(descriptor, e));
        let mut budget = Budget::for_an_image();
        let end = end_of_entries(tar()?, &mut budget).map_err(|e| base.fault(descriptor, e))?;
        sink.begin().map_err(write)?;
        // Some tools leave out the padding of the last file.
        let padding = io::repeat(0).take(end.next_multiple_of(BLOCK as u64) - end);
        let addition = addition(number, &record, created).map_err(write)?;
        let mut tar = tar()?.take(end).chain(padding).chain(Cursor::new(addition));
        let layer = layer::compress(sink.as_mut(), &mut tar, compression).map_err(write)?;
        sink.end(&layer.blob).map_err(write)?;
        sink::say_written(&layer.blob);
        layers.push(written(&layer, compression, &record));
        made += 1;
    }
    let rewrite = Rewrite { base, name, layers: &layers, past: Past::Kept, firmware: None, created };
    let stored = rewrite.store(sink.as_mut()).map_err(write)?;
    let digest = stored.entry.digest().to_string();
    sink.commit(stored)?;
    Ok((digest, made))
}

fn written(layer: &Layer, compression: Compression, record: &[u8]) -> NewLayer {
    NewLayer::written(layer, compression, Sha256Digest::of(record))
}

/// How a layer is compressed, by its media type.
fn compression(descriptor: &Descriptor) -> Compression {
    let media_type = descriptor.media_type().to_string();
    if media_type.ends_with("gzip") {
        Compression::Gzip
    } else if media_type.ends_with("zstd") {
        Compression::Zstd
    } else {
        Compression::None
    }
}

/// The record as the last entries of a tar.
fn addition(number: usize, record: &[u8], created: Timestamp) -> io::Result<Vec<u8>> {
    let number = u32::try_from(number).map_err(io::Error::other)?;
    let mut tar = tar::Builder::new(Vec::new());
    for path in [".micrun/", ".micrun/records/"] {
        let header = layer::header(path, EntryType::Directory, 0o755, 0, created.seconds())?;
        tar.append(&header, io::empty())?;
    }
    let path = record::path(number);
    let path = path.trim_start_matches('/');
    let size = record.len() as u64;
    tar.append(&layer::header(path, EntryType::Regular, FILE_MODE, size, created.seconds())?, record)?;
    tar.into_inner()
}
