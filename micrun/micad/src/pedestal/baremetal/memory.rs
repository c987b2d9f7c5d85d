//! The memory of firmware on a core, as our driver shows it. All of this blocks.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::sysfs::Remoteproc;
use crate::Result;
use crate::error::file;
use crate::pedestal::{core_file, patch};

/// The driver's file, in which the offset is the physical address.
pub(super) struct CoreMemory {
    path: PathBuf,
    file: File,
}

impl CoreMemory {
    /// To read and write.
    pub(super) fn open(remoteproc: &Remoteproc) -> Result<Self> {
        let path = remoteproc.device_dir().join("memory");
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        Ok(Self { file: opened.map_err(file("open", &path))?, path })
    }

    /// Whether there is memory at `address`.
    pub(super) fn has(&self, address: u64) -> bool {
        self.file.read_exact_at(&mut [0], address).is_ok()
    }

    /// The word at `address`. Of firmware that runs, it is what has reached the memory.
    pub(super) fn word(&self, address: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        self.file.read_exact_at(&mut bytes, address).ok()?;
        Some(u32::from_le_bytes(bytes))
    }
}

impl patch::Memory for CoreMemory {
    fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; size];
        self.file.read_exact_at(&mut bytes, address).map_err(file("read", &self.path))?;
        Ok(bytes)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.file.write_all_at(bytes, address).map_err(file("write", &self.path))
    }
}

impl core_file::Memory for CoreMemory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<bool> {
        self.file.read_exact_at(bytes, address).map(|()| true)
    }
}
