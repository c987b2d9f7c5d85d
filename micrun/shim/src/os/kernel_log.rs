//! What the kernel has logged since a moment.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use nix::fcntl::OFlag;

/// Each read gives one record (the kernel's `ABI/testing/dev-kmsg`).
const DEVICE: &str = "/dev/kmsg";
/// Longest record, with room (`PRINTK_MESSAGE_MAX` is 2048).
const RECORD: usize = 8192;

/// The kernel's log from a moment on.
#[derive(Debug)]
pub(crate) struct KernelLog(File);

impl KernelLog {
    /// From now on; `None` without permission to read it.
    pub(crate) fn from_now() -> Option<Self> {
        let mut log =
            OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(DEVICE).ok()?;
        log.seek(SeekFrom::End(0)).ok()?;
        Some(Self(log))
    }

    /// What it tells since then.
    pub(crate) fn records(mut self) -> impl Iterator<Item = String> {
        std::iter::from_fn(move || {
            let mut buffer = [0; RECORD];
            loop {
                match self.0.read(&mut buffer) {
                    Ok(length) => return Some(String::from_utf8_lossy(&buffer[..length]).into_owned()),
                    // Records were overwritten before they were read.
                    Err(e) if e.kind() == ErrorKind::BrokenPipe => {}
                    Err(_) => return None,
                }
            }
        })
    }
}
