//! Loop devices: a file system in a file, as the blockfile snapshotter has them.

use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use linux_raw_sys::loop_device::{
    LO_FLAGS_AUTOCLEAR, LO_FLAGS_DIRECT_IO, LO_FLAGS_READ_ONLY, loop_config, loop_info64,
};
use nix::errno::Errno;

use super::sys;
use crate::error::{Error, Result};

const CONTROL: &str = "/dev/loop-control";
/// Between the question for a free device and its use, another program may take it.
const ATTEMPTS: usize = 100;

/// A loop device with a file attached. The kernel detaches the file after the last close and the last unmount.
#[derive(Debug)]
pub(super) struct LoopDevice {
    /// Its path.
    pub path: PathBuf,
    _file: File,
}

impl LoopDevice {
    /// Attaches `backing` to a free device; `direct` reads and writes it without the page cache.
    pub(super) fn attach(backing: &Path, read_only: bool, direct: bool) -> Result<Self> {
        let mut access = OpenOptions::new();
        access.read(true).write(!read_only);
        let file = access.open(backing).map_err(Error::io("open", backing))?;
        let control = OpenOptions::new().read(true).write(true).open(CONTROL);
        let control = control.map_err(Error::io("open", CONTROL))?;
        let config = configuration(&file, backing, read_only, direct);
        let mut last = Errno::EBUSY;
        for _ in 0..ATTEMPTS {
            let number = sys::free_loop(&control);
            let number =
                number.map_err(|errno| Error::io("find a free loop device at", CONTROL)(errno.into()))?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = access.open(&path).map_err(Error::io("open", &path))?;
            match sys::configure_loop(&device, &config) {
                Ok(()) => return Ok(Self { path, _file: device }),
                Err(Errno::EBUSY) => {}
                Err(errno) => {
                    last = errno;
                    break;
                }
            }
        }
        Err(Error::io("attach to a loop device", backing)(last.into()))
    }
}

fn configuration(file: &File, backing: &Path, read_only: bool, direct: bool) -> loop_config {
    let mut flags = LO_FLAGS_AUTOCLEAR as u32;
    if read_only {
        flags |= LO_FLAGS_READ_ONLY as u32;
    }
    if direct {
        flags |= LO_FLAGS_DIRECT_IO as u32;
    }
    // For `losetup --list`; the last byte stays NUL.
    let mut name = [0; 64];
    for (slot, byte) in name[..63].iter_mut().zip(backing.as_os_str().as_bytes()) {
        *slot = *byte;
    }
    loop_config {
        fd: file.as_raw_fd().unsigned_abs(),
        block_size: 0,
        info: loop_info64 {
            lo_device: 0,
            lo_inode: 0,
            lo_rdevice: 0,
            lo_offset: 0,
            lo_sizelimit: 0,
            lo_number: 0,
            lo_encrypt_type: 0,
            lo_encrypt_key_size: 0,
            lo_flags: flags,
            lo_file_name: name,
            lo_crypt_name: [0; 64],
            lo_encrypt_key: [0; 32],
            lo_init: [0; 2],
        },
        __reserved: [0; 8],
    }
}
