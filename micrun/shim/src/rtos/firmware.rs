//! The bytes of a container's firmware, which its state directory names.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::Mutex;

use micrun_firmware::names::JAILED_FIRMWARE;
use nix::fcntl::OFlag;
use nix::libc;
use nix::unistd::dup3;

use crate::os::blocking;
use crate::os::lock::lock;

/// Firmware in memory, until it is discarded.
#[derive(Debug)]
pub(crate) struct Firmware(Mutex<Option<OwnedFd>>);

impl Firmware {
    /// Firmware in a sealed memory file.
    pub(crate) fn new(file: File) -> Self {
        Self(Mutex::new(Some(file.into())))
    }

    /// Another descriptor of it.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        lock(&self.0).as_ref().ok_or(io::ErrorKind::NotFound)?.try_clone()
    }

    /// Lets go of the bytes that Create has copied, if the emulator `pid` has a copy of its own: from there on, that is
    /// the only one. It gets the same number, to which the state directory's path leads.
    pub(crate) fn leave_to(&self, pid: u32) -> io::Result<()> {
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let path = format!("/proc/{pid}/cwd/{JAILED_FIRMWARE}");
        let its = match File::options().read(true).custom_flags(flags).open(path) {
            // It has none: the daemon is not root, or it is one that makes no jail.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let (found, mut ours) = (its.metadata()?, lock(&self.0));
        let Some(ours) = ours.as_mut() else { return Ok(()) };
        let size = File::from(ours.try_clone()?).metadata()?.len();
        // Nobody but the daemon can have written it.
        if found.is_file() && found.uid() == 0 && found.len() == size {
            dup3(&its, ours, OFlag::O_CLOEXEC)?;
        }
        Ok(())
    }

    /// Lets go of it. The kernel frees its memory meanwhile, page by page: some 100 ms for a gigabyte.
    pub(crate) async fn discard(&self) {
        let ours = lock(&self.0).take();
        blocking::discard(ours).await;
    }
}
