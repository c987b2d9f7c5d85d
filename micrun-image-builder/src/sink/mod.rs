//! Where an image is written: an oci-archive or an oci-layout directory.

mod archive;
mod layout;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use oci_spec::image::{Descriptor, ImageIndex, OciLayoutBuilder};

use crate::compressed::Format;
use crate::digest::Measured;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::{json, say};
use archive::Archive;
use layout::Layout;

/// A place for blobs whose names are known only once they have been written.
///
/// Nothing is visible at the destination until `commit`; dropped before that, it leaves nothing behind.
pub(crate) trait Sink: Write {
    /// Starts a blob; what is written from now on belongs to it.
    fn begin(&mut self) -> io::Result<()>;
    /// Ends the blob and names it.
    fn end(&mut self, blob: &Measured) -> io::Result<()>;
    /// Makes the image visible.
    fn commit(self: Box<Self>, image: Stored) -> Result<()>;
}

/// How the standard output is named as a destination.
pub(crate) const STDOUT: &str = "-";
/// How the names of temporary files and directories begin.
pub(crate) const STAGE: &str = ".micrun-pack-";

/// A destination as messages name it.
pub(crate) fn shown(destination: &Path) -> String {
    if destination == STDOUT { "the standard output".to_owned() } else { destination.display().to_string() }
}

/// Whether a destination is a layout directory, which several images can go to.
pub(crate) fn is_layout(destination: &Path) -> bool {
    destination != STDOUT && Format::of_name(destination).is_none()
}

/// Opens the sink that a destination asks for: `-` is the standard output, `*.tar`, `*.tar.gz` and the like are
/// archives, anything else is a layout directory.
pub(crate) fn create(destination: &Path, mtime: u64) -> Result<Box<dyn Sink>> {
    if destination == STDOUT {
        return Ok(Box::new(Archive::to_stdout(mtime)?));
    }
    Ok(match Format::of_name(destination) {
        Some(format) => Box::new(Archive::create(destination, format, mtime)?),
        None => Box::new(Layout::create(destination)?),
    })
}

/// Stores a blob that is in memory.
pub(crate) fn put(sink: &mut dyn Sink, bytes: &[u8]) -> io::Result<Measured> {
    let blob = Measured::of(bytes);
    sink.begin()?;
    sink.write_all(bytes)?;
    sink.end(&blob)?;
    say_written(&blob);
    Ok(blob)
}

/// Names a blob for `--verbose`.
pub(crate) fn say_written(blob: &Measured) {
    say::verbose(format_args!("blob sha256:{}, {} bytes", blob.digest.digest(), blob.size));
}

/// The directory in which the destination stands.
pub(crate) fn parent(destination: &Path) -> PathBuf {
    match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn index_json(entries: Vec<Descriptor>) -> Vec<u8> {
    let mut index = ImageIndex::default();
    index.set_media_type(Some(oci_spec::image::MediaType::ImageIndex));
    index.set_manifests(entries);
    json::canonical(&index)
}

/// The content of the file `oci-layout` (image-spec, image-layout.md).
fn layout_json() -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "the only field is set")]
    let layout = OciLayoutBuilder::default().image_layout_version("1.0.0").build().expect("complete");
    json::canonical(&layout)
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
