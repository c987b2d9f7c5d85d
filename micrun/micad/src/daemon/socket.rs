//! Listening sockets.

use std::path::Path;

use tokio::net::UnixListener;

use super::access;
use crate::Result;
use crate::error::file;

/// Listens on `path`, for the daemon's user and `users`. What a dead daemon left there is replaced: the runtime directory is locked.
pub(super) fn listen(path: &Path, users: &[u32]) -> Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path).map_err(file("listen on", path))?;
    access::socket(path, users)?;
    Ok(listener)
}

/// Removes the file, if it exists.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(file("remove", path)(e)),
        _ => Ok(()),
    }
}
