//! The rootfs of a firmware image: its marker, which file is the firmware, and how files are opened
//! without leaving it.

pub mod boards;
mod firmware;
mod lookup;
mod replaced;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

pub use firmware::Firmware;
pub use walk::{RootFile, open};

use crate::{Error, Result, annotations, client_conf};

/// The files of a container: a mounted directory, or what an image would give.
pub trait Rootfs {
    /// Opens a regular file, as [`open`] does.
    fn open(&self, path: &str, limit: u64, asked_by: &str) -> Result<RootFile>;

    /// Whether the root directory has anything of this name. Links are not followed.
    fn has(&self, name: &str) -> bool;

    /// The names in the root directory that are UTF-8 text and no directories.
    fn names(&self) -> Result<Vec<String>>;
}

impl<P: AsRef<Path> + ?Sized> Rootfs for P {
    fn open(&self, path: &str, limit: u64, asked_by: &str) -> Result<RootFile> {
        open(self.as_ref(), path, limit, asked_by)
    }

    fn has(&self, name: &str) -> bool {
        // What cannot be looked at is there; opening it tells why it cannot.
        let found = self.as_ref().join(name).symlink_metadata();
        !found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    fn names(&self) -> Result<Vec<String>> {
        let io = |error| Error::io("list the rootfs", self.as_ref().display().to_string(), error);
        let mut names = Vec::new();
        for entry in self.as_ref().read_dir().map_err(io)? {
            let entry = entry.map_err(io)?;
            // A name that is no UTF-8 cannot be named in any message or record.
            if let Ok(name) = entry.file_name().into_string()
                && !entry.file_type().map_err(io)?.is_dir()
            {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Whether a container is a firmware: it has an annotation of ours, or `client.conf` at the root of its
/// rootfs. The marker need not be well-formed: a malformed one is an error of [`Firmware::resolve`] and
/// never makes a firmware an ordinary container.
pub fn is_firmware(rootfs: &(impl Rootfs + ?Sized), annotations: &BTreeMap<String, String>) -> bool {
    annotations.keys().any(|key| key.starts_with(annotations::PREFIX)) || rootfs.has(client_conf::FILE_NAME)
}
