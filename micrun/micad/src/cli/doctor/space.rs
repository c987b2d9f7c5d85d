//! Room on the file systems that are written to.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rustix::fs::{StatVfs, StatVfsMountFlags, statvfs};

use super::finding::Finding;
use super::host::Host;
use super::{leftovers, registration};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// How little room is too little.
struct Least {
    /// Below this the next container may fail.
    warning: u64,
    /// Below this it will.
    error: u64,
}

/// `/run`, where sockets, states and the copies of firmware are.
pub(super) fn run(host: &Host) -> Finding {
    let remedy =
        "remove what is not needed there, or mount a larger tmpfs: `mount -o remount,size=SIZE /run`";
    room(
        host,
        &[host.runtime_dir.clone(), leftovers::state_dir(host)],
        &Least { warning: 16 * MIB, error: 512 * KIB },
        remedy,
    )
}

/// Where containerd keeps images and snapshots.
pub(super) fn store(host: &Host) -> Finding {
    let remedy = "remove images: `ctr image ls`, `ctr image rm NAME`, `crictl rmi --prune`";
    room(host, &[registration::store(host)], &Least { warning: 512 * MIB, error: 16 * MIB }, remedy)
}

fn room(host: &Host, dirs: &[PathBuf], least: &Least, remedy: &str) -> Finding {
    let mut roomy = Vec::new();
    let look = |dir: &PathBuf| {
        let (shown, data) = match existing(host, dir) {
            Ok(found) => found,
            Err((dir, e)) => return Finding::unread(&dir, &e),
        };
        let free = data.f_bavail.saturating_mul(data.f_frsize);
        let text = format!("{}: {} MiB free", shown.display(), free / MIB);
        if data.f_flag.contains(StatVfsMountFlags::RDONLY) {
            return Finding::error(
                format!("{} is on a read-only file system", shown.display()),
                "mount it writable",
            );
        }
        // Some file systems have no number of files.
        let no_files = data.f_files > 0 && data.f_favail == 0;
        if no_files {
            return Finding::error(
                format!("{}: no further file fits (no inode is free)", shown.display()),
                remedy,
            );
        }
        if free < least.error {
            return Finding::error(format!("{}: {} KiB free", shown.display(), free / KIB), remedy);
        }
        if free < least.warning {
            return Finding::warning(text, remedy);
        }
        if !roomy.contains(&text) {
            roomy.push(text);
        }
        Finding::ok("")
    };
    let findings = dirs.iter().map(look).collect();
    Finding::all(findings, || Finding::ok(roomy.join(", ")))
}

/// The file system of a directory, or of the nearest above it that exists, and which that is.
fn existing(host: &Host, dir: &Path) -> Result<(PathBuf, StatVfs), (PathBuf, std::io::Error)> {
    for dir in dir.ancestors() {
        match statvfs(host.at(dir)).map_err(std::io::Error::from) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err((dir.to_owned(), e)),
            Ok(data) => return Ok((dir.to_owned(), data)),
        }
    }
    Err((dir.to_owned(), ErrorKind::NotFound.into()))
}
