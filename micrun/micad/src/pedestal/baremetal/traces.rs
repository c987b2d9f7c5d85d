//! The trace buffers of firmware (`RSC_TRACE` of its resource table), which Linux's remoteproc shows in debugfs while the
//! firmware runs: `trace0` and so on.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;

use micrun_firmware::memory_file;

use super::sysfs::{Remoteproc, System};

/// Where debugfs has them.
const DIR: &str = "/sys/kernel/debug/remoteproc";

/// A trace buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Buffer {
    /// `trace0`.
    pub(super) name: String,
    path: PathBuf,
}

/// Those of this remoteproc's firmware. None without debugfs, or rights to it.
pub(super) fn buffers(system: &System, remoteproc: &Remoteproc) -> Vec<Buffer> {
    let dir = system.path(DIR).join(&remoteproc.id);
    // The kernel numbers them without a gap.
    let all = (0..super::lines::MOST_TRACES).map(|number| {
        let name = format!("trace{number}");
        Buffer { path: dir.join(&name), name }
    });
    all.take_while(|buffer| buffer.path.exists()).collect()
}

impl Buffer {
    /// Opens the file that shows it.
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }

    /// What it shows now, in a file that stays.
    pub(super) fn copy(&self) -> io::Result<File> {
        let text = std::fs::read(&self.path)?;
        let mut file = memory_file::create()?;
        file.write_all(&text)?;
        file.rewind()?;
        memory_file::seal(&file)?;
        Ok(file)
    }
}
