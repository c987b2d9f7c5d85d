//! Listening sockets that only the daemon's user can reach.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::UnixListener;

use crate::Result;
use crate::error::file;

/// Listens on `path`. What a dead daemon left there is replaced: the runtime directory is locked.
pub(super) fn listen(path: &Path) -> Result<UnixListener> {
    remove(path)?;
    let listener = UnixListener::bind(path).map_err(file("listen on", path))?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(file("protect", path))?;
    Ok(listener)
}

/// Removes the file, if it exists.
pub(super) fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(file("remove", path)(e)),
        _ => Ok(()),
    }
}
