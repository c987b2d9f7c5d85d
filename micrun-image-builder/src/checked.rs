//! A layer of a stored image, read to its last byte and checked: its blob, and what that unpacks to.

use std::io::{self, ErrorKind, Read};

use oci_spec::image::Descriptor;

use crate::digest::MeteredReader;
use crate::error::{Error, Result};
use crate::layers::{Budget, Layer, Packing, decoder};
use crate::source::Source;

/// Reads the layer `number`, counted from 0. `diff_id` is what the config says of it.
pub(crate) fn layer(
    source: &Source,
    number: usize,
    descriptor: &Descriptor,
    diff_id: &str,
    budget: &mut Budget,
) -> Result<Layer> {
    let mut blob = source.blob(descriptor)?;
    let read = decoder(packing(descriptor), &mut blob).and_then(|tar| {
        let mut tar = MeteredReader::new(tar);
        let layer = Layer::read(number, &mut tar, budget)?;
        Ok((layer, tar.drain()?))
    });
    let read = read.map_err(|error| fault(source, descriptor, error));
    if !matches!(read, Err(Error::Read { .. })) {
        // A changed byte may also be what the reader stumbled over: the digest is the better answer.
        blob.verify()?;
    }
    let (layer, diff) = read?;
    if diff.digest.digest() != diff_id.trim_start_matches("sha256:") {
        return Err(Error::Damaged(format!(
            "layer {} unpacks to sha256:{}, but the config says {diff_id}",
            descriptor.digest(),
            diff.digest.digest()
        )));
    }
    Ok(layer)
}

/// How a layer is packed, by its descriptor.
pub(crate) fn packing(descriptor: &Descriptor) -> Packing {
    Packing::of(descriptor.media_type().as_ref())
}

/// The tar inside a layer of a stored image, not checked. [`fault`] says what an error means.
pub(crate) fn tar<'a>(source: &'a Source, descriptor: &'a Descriptor) -> io::Result<Box<dyn Read + 'a>> {
    let blob = source.blob(descriptor).map_err(|error| match error {
        Error::Read { source, .. } => source,
        other => io::Error::other(other),
    })?;
    decoder(packing(descriptor), blob)
}

/// What an error of [`crate::layers`] says of the image.
pub(crate) fn fault(source: &Source, descriptor: &Descriptor, error: io::Error) -> Error {
    if error.raw_os_error().is_some() {
        return source.unreadable(error);
    }
    let sentence = format!("layer {}: {error}", descriptor.digest());
    match error.kind() {
        ErrorKind::Unsupported | ErrorKind::FileTooLarge => Error::Unreadable(sentence),
        _ => Error::Damaged(sentence),
    }
}
