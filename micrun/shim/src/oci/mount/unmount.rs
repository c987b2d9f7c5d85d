//! Taking mounts away again.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};

/// The mounts of this process (`proc_pid_mountinfo(5)`).
const TABLE: &str = "/proc/self/mountinfo";

/// Detaches all that is mounted on a directory and below it, the deepest first.
pub(super) fn tree(target: &Path) {
    // What does not exist has nothing mounted on it.
    let Ok(target) = target.canonicalize() else { return };
    let table = std::fs::read(TABLE).inspect_err(|error| log::warn!("cannot read {TABLE}: {error}"));
    let mut points = below(&table.unwrap_or_default(), &target);
    points.sort_by_key(|point| std::cmp::Reverse(point.as_os_str().len()));
    for point in points {
        detach(&point);
    }
}

/// Detaches what was mounted last on a directory; nothing mounted is no error.
pub(super) fn detach(point: &Path) {
    match umount2(point, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
        Ok(()) | Err(Errno::EINVAL | Errno::ENOENT) => {}
        Err(errno) => log::warn!("cannot unmount {}: {errno}", point.display()),
    }
}

/// The mount points at and below a directory, one for each mount.
fn below(table: &[u8], directory: &Path) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let points = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4)).map(unescape);
    points.filter(|point| point.starts_with(directory)).collect()
}

/// Undoes the escapes of the table: a backslash and three octal digits.
fn unescape(field: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = &after[3..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_at_and_below_a_directory_are_found() {
        let table = b"1 0 8:1 / / rw - ext4 /dev/vda rw\n\
            2 1 0:2 / /run/a\\040b/rootfs rw shared:1 - overlay overlay rw\n\
            3 1 0:2 / /run/a\\040b/rootfs rw - overlay overlay rw\n\
            4 2 0:3 / /run/a\\040b/rootfs/x\\134y rw - tmpfs tmpfs rw\n\
            5 1 0:4 / /run/a\\040b/rootfs2 rw - tmpfs tmpfs rw\n";
        let found = below(table, Path::new("/run/a b/rootfs"));
        let expected = ["/run/a b/rootfs", "/run/a b/rootfs", r"/run/a b/rootfs/x\y"];
        assert_eq!(found, expected.map(PathBuf::from));
        assert!(below(b"", Path::new("/")).is_empty());
    }
}
