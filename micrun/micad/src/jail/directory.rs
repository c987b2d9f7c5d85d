//! A process's working directory, when its root has no place for files of its own: a tmpfs that is mounted nowhere.
//!
//! All of this runs between fork and exec, as [`super::entry`] does.

use std::ffi::CStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, SeekFrom, openat, seek};
use rustix::io::{Errno, Result};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// Pages of tmpfs are no larger.
const PAGE: u64 = 64 << 10;

/// A directory with copies of `files`, if there are any. It has room for nothing else, and goes with the process whose
/// working directory it is. Only root can write there.
pub(super) fn make(files: &[(&'static str, &File)]) -> Result<Option<OwnedFd>> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut size = 0_u64;
    for (_, file) in files {
        size = size.saturating_add(length(file)?.next_multiple_of(PAGE));
    }
    let mut digits = [0; DIGITS];
    let tmpfs = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&tmpfs, c"size", decimal(size, &mut digits))?;
    // The directory and the files.
    let inodes = u64::try_from(files.len()).unwrap_or(u64::MAX).saturating_add(1);
    rustix::mount::fsconfig_set_string(&tmpfs, c"nr_inodes", decimal(inodes, &mut digits))?;
    rustix::mount::fsconfig_set_string(&tmpfs, c"mode", c"0755")?;
    rustix::mount::fsconfig_create(&tmpfs)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let directory = rustix::mount::fsmount(&tmpfs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    for (name, file) in files {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        let copy = openat(&directory, *name, flags, Mode::RUSR)?;
        // Whatever the daemon's umask is.
        rustix::fs::fchmod(&copy, Mode::RUSR | Mode::RGRP | Mode::ROTH)?;
        rustix::fs::ftruncate(&copy, length(file)?)?;
        copy_data(file, &copy)?;
    }
    Ok(Some(directory))
}

fn length(file: &File) -> Result<u64> {
    Ok(rustix::fs::fstat(file)?.st_size.unsigned_abs())
}

/// Copies what is not a hole.
fn copy_data(from: &File, to: &impl AsFd) -> Result<()> {
    let mut end = 0;
    loop {
        let mut next = match seek(from, SeekFrom::Data(end)) {
            Ok(next) => next,
            // Nothing but holes from here on.
            Err(Errno::NXIO) => return Ok(()),
            Err(e) => return Err(e),
        };
        end = seek(from, SeekFrom::Hole(next))?;
        seek(to, SeekFrom::Start(next))?;
        while next < end {
            let wanted = usize::try_from(end - next).unwrap_or(usize::MAX);
            if rustix::fs::sendfile(to, from, Some(&mut next), wanted)? == 0 {
                return Err(Errno::IO);
            }
        }
    }
}

/// Room for 64 bits, which have 20 digits, and a zero behind them.
const DIGITS: usize = 24;

/// The number as text, without an allocation.
fn decimal(number: u64, digits: &mut [u8; DIGITS]) -> &CStr {
    digits.fill(0);
    let _ = write!(&mut digits[..20], "{number}");
    CStr::from_bytes_until_nul(digits).unwrap_or(c"1")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn numbers_become_text() {
        let mut digits = [0; DIGITS];
        for number in [u64::MAX, 0, 4096, 7] {
            assert_eq!(decimal(number, &mut digits).to_str().unwrap(), number.to_string());
        }
    }
}
