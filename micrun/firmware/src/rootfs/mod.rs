//! The rootfs of a firmware image: its marker, which file is the firmware, and how files are opened
//! without leaving it.

mod firmware;
mod lookup;
mod walk;

use std::collections::BTreeMap;
use std::path::Path;

pub use firmware::Firmware;
pub use walk::{RootFile, open};

use crate::{annotations, client_conf};

/// Whether a container is a firmware: it has an annotation of ours, or `client.conf` at the root of its
/// rootfs. The marker need not be well-formed: a malformed one is an error of [`Firmware::resolve`] and
/// never makes a firmware an ordinary container.
pub fn is_firmware(rootfs: &Path, annotations: &BTreeMap<String, String>) -> bool {
    annotations.keys().any(|key| key.starts_with(annotations::PREFIX))
        || rootfs.join(client_conf::FILE_NAME).symlink_metadata().is_ok()
}
