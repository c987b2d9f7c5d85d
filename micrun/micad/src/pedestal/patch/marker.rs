//! The mark on a client whose firmware may be half of one file and half of another.
//!
//! A daemon that dies while it writes leaves such firmware behind, and it stands still. Whoever lets it go on runs what
//! nobody has ever built. So the next daemon looks for the mark, and ends what it finds.

use std::fs::File;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::Result;
use crate::error::{file, is_there};
use crate::pedestal::ClientSpec;

/// A file in the client's directory. It is there from before the firmware is held until after it goes on.
#[derive(Debug, Clone)]
pub(crate) struct Marker(PathBuf);

impl Marker {
    /// The mark of this client.
    pub(crate) fn of(spec: &ClientSpec) -> Self {
        Self(spec.dir.join("patching"))
    }

    /// Sets it.
    pub(in crate::pedestal) fn set(&self) -> Result<()> {
        File::create(&self.0).map(drop).map_err(file("create", &self.0))
    }

    /// Whether it is set.
    pub(crate) fn is_set(&self) -> Result<bool> {
        is_there(&self.0)
    }

    /// Takes it away, if it is set.
    pub(crate) fn clear(&self) -> Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(file("remove", &self.0)(e)),
            _ => Ok(()),
        }
    }
}
