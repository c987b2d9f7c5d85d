//! System calls that neither nix nor rustix wraps.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

const NSIO: u8 = 0xb7;
nix::ioctl_none!(ns_get_userns, NSIO, 1);

/// The user namespace that a namespace belongs to (`NS_GET_USERNS`, `ioctl_ns(2)`).
#[expect(unsafe_code, reason = "neither nix nor rustix wraps ioctl_ns")]
pub(super) fn owner(namespace: &File) -> nix::Result<File> {
    // SAFETY: the call takes no argument.
    let owner = unsafe { ns_get_userns(namespace.as_raw_fd()) }?;
    // SAFETY: the kernel has made this descriptor for the caller.
    Ok(unsafe { File::from_raw_fd(owner) })
}
