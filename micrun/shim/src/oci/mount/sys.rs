//! System calls that neither nix nor rustix wraps.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use linux_raw_sys::general::{MOUNT_ATTR_IDMAP, mount_attr};
use linux_raw_sys::loop_device::{LOOP_CONFIGURE, LOOP_CTL_GET_FREE, loop_config};
use nix::errno::Errno;
use nix::libc;

nix::ioctl_none_bad!(loop_ctl_get_free, LOOP_CTL_GET_FREE);
nix::ioctl_write_ptr_bad!(loop_configure, LOOP_CONFIGURE, loop_config);

/// Maps the owners of files in a detached mount, and in those below it (`mount_setattr(2)`, Linux 5.12).
#[expect(unsafe_code, reason = "neither nix nor rustix wraps mount_setattr")]
pub(super) fn map_owners(mount: BorrowedFd<'_>, users: BorrowedFd<'_>) -> nix::Result<()> {
    let attributes = mount_attr {
        attr_set: MOUNT_ATTR_IDMAP.into(),
        attr_clr: 0,
        propagation: 0,
        userns_fd: users.as_raw_fd().unsigned_abs().into(),
    };
    let flags = libc::AT_EMPTY_PATH | libc::AT_RECURSIVE;
    // SAFETY: the path is a C string, and the kernel reads no more than the size says of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<mount_attr>(),
        )
    };
    Errno::result(result).map(drop)
}

/// The number of a loop device that is free now (`LOOP_CTL_GET_FREE`, loop(4)).
#[expect(unsafe_code, reason = "neither nix nor rustix wraps loop(4)")]
pub(super) fn free_loop(control: &File) -> nix::Result<u32> {
    // SAFETY: the request takes no argument.
    let number = unsafe { loop_ctl_get_free(control.as_raw_fd()) }?;
    Ok(number.unsigned_abs())
}

/// Attaches a file to a loop device with flags, at once (`LOOP_CONFIGURE`, Linux 5.8).
#[expect(unsafe_code, reason = "neither nix nor rustix wraps loop(4)")]
pub(super) fn configure_loop(device: &File, config: &loop_config) -> nix::Result<()> {
    // SAFETY: the kernel reads a `loop_config`, and writes nothing.
    unsafe { loop_configure(device.as_fd().as_raw_fd(), config) }.map(drop)
}
