//! Access control lists of files: the users, beside its owner, who may use one (acl(5)).
//!
//! The kernel takes them as an extended attribute (`linux/posix_acl_xattr.h`).

use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::io::Errno;

const ATTRIBUTE: &str = "system.posix_acl_access";
const VERSION: u32 = 2;
const NOBODY: u32 = u32::MAX;

const USER_OBJ: u16 = 0x01;
const USER: u16 = 0x02;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
const OTHER: u16 = 0x20;

/// Bytes of the version, and of an entry: its kind, its permissions, and whose it is.
const HEADER: usize = 4;
const ENTRY: usize = 8;
/// More than a kernel takes: a block of a file system, or a page.
const MOST_BYTES: usize = 0x1_0000;

/// Has the file's owner, and the users, each with their permissions (`rwx` as in a mode), use it, and nobody else.
pub(crate) fn set(path: &Path, owner: u16, users: &[u32], permissions: u16) -> io::Result<()> {
    let mut users = users.to_vec();
    users.sort_unstable();
    users.dedup();
    let named = users.iter().map(|user| (USER, permissions, *user));
    let mask = (!users.is_empty()).then_some((MASK, permissions, NOBODY));
    let entries = [(USER_OBJ, owner, NOBODY)]
        .into_iter()
        .chain(named)
        .chain([(GROUP_OBJ, 0, NOBODY)])
        .chain(mask)
        .chain([(OTHER, 0, NOBODY)]);
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for (kind, permissions, id) in entries {
        bytes.extend(kind.to_le_bytes());
        bytes.extend(permissions.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    Ok(setxattr(path, ATTRIBUTE, &bytes, XattrFlags::empty())?)
}

/// The users whom a list of the kind of [`set`] names. `None` without a list, and for one that lets others in as well: a
/// group, or all.
pub(crate) fn users(path: &Path) -> io::Result<Option<Vec<u32>>> {
    let mut bytes = vec![0; MOST_BYTES];
    match getxattr(path, ATTRIBUTE, bytes.as_mut_slice()) {
        Ok(length) => bytes.truncate(length),
        Err(Errno::NODATA | Errno::NOTSUP) => return Ok(None),
        Err(e) => return Err(e.into()),
    }
    let mut users = Vec::new();
    for entry in bytes.get(HEADER..).unwrap_or_default().as_chunks::<ENTRY>().0 {
        let [k0, k1, p0, p1, id @ ..] = *entry;
        match (u16::from_le_bytes([k0, k1]), u16::from_le_bytes([p0, p1])) {
            (USER, _) => users.push(u32::from_le_bytes(id)),
            (USER_OBJ | MASK, _) | (_, 0) => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(users))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_list_names_its_users_and_keeps_others_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path();
        assert_eq!(users(path).unwrap(), None);
        set(path, 6, &[70, 9, 70], 6).unwrap();
        assert_eq!(users(path).unwrap(), Some(vec![9, 70]));
        let mode = || fs::metadata(path).unwrap().permissions().mode() & 0o777;
        // The group's place in the mode is the list's mask.
        assert_eq!(mode(), 0o660);
        fs::set_permissions(path, fs::Permissions::from_mode(0o664)).unwrap();
        assert_eq!(users(path).unwrap(), None, "all can read it");
        set(path, 6, &[], 6).unwrap();
        assert_eq!((users(path).unwrap(), mode()), (None, 0o600));
    }
}
