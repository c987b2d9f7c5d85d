//! Who reaches the daemon's files: root, and the users of `AllowedUids` the sockets.
//!
//! The kernel lets nobody else in. Whoever connects is asked for once more ([`super::Daemon::admit`]): somebody may have
//! changed the modes by hand, and a list that is read again holds at once.

use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::Path;

use crate::error::file;
use crate::{Result, acl};

const READ_AND_WRITE: u16 = 0o6;
const LIST_AND_ENTER: u16 = 0o5;
const EVERYTHING: u16 = 0o7;

/// Creates the directory of the sockets, which `users` can list and enter; it may exist.
pub(super) fn directory(path: &Path, users: &[u32]) -> Result<()> {
    private_dir(path)?;
    give(path, EVERYTHING, users, LIST_AND_ENTER);
    Ok(())
}

/// Creates a directory that only the daemon's user can enter; it may exist.
pub(super) fn private_dir(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(file("create", path))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700)).map_err(file("protect", path))
}

/// Has a socket be for its owner and for `users` alone.
pub(super) fn socket(path: &Path, users: &[u32]) -> Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(file("protect", path))?;
    give(path, READ_AND_WRITE, users, READ_AND_WRITE);
    Ok(())
}

/// The same for a directory and all sockets in it, whose users are others now.
pub(super) fn renew(dir: &Path, users: &[u32]) -> Result<()> {
    directory(dir, users)?;
    let entries = std::fs::read_dir(dir).map_err(file("read", dir))?;
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket())) {
        socket(&entry.path(), users)?;
    }
    Ok(())
}

/// Root can do without: a file system without lists costs the users their access, and nothing else.
fn give(path: &Path, owner: u16, users: &[u32], permissions: u16) {
    match acl::set(path, owner, users, permissions) {
        Err(e) if !users.is_empty() => {
            log::error!("{}", file("give the users of AllowedUids access to", path)(e).sentence());
        }
        _ => {}
    }
}
