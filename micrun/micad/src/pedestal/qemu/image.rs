//! The firmware's bytes in a sealed memory file: what was checked is what QEMU loads.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use micrun_firmware::{ElfInfo, MAX_FIRMWARE_SIZE, copy, memory_file};

use crate::error::{file, system};
use crate::pedestal::firmware_file;
use crate::{Error, Result};

/// A firmware in a sealed memory file.
#[derive(Debug)]
pub(super) struct Image {
    file: File,
    info: ElfInfo,
    path: PathBuf,
}

impl Image {
    /// Copies the firmware at `path`, seals the copy and reads its headers. Blocks.
    pub(super) fn load(path: &Path) -> Result<Self> {
        let source = firmware_file::open(path, super::NAME)?;
        let doing = "make a memory file for the firmware";
        let copied = memory_file::create().map_err(system(doing))?;
        let size = copy(&source, &copied, MAX_FIRMWARE_SIZE + 1, |_| ()).map_err(file("read", path))?;
        if size > MAX_FIRMWARE_SIZE {
            return Err(refusal(path, too_large()));
        }
        memory_file::seal(&copied).map_err(system(doing))?;
        Self::of(copied, path)
    }

    /// Takes the firmware that came with the command and is that of the file at `path`. Whoever has written it pays for
    /// it, so it is not copied. Blocks.
    pub(super) fn take(given: OwnedFd, path: &Path) -> Result<Self> {
        let given = File::from(given);
        if !memory_file::is_sealed(&given) {
            return Err(refusal(
                path,
                "it came as a file that somebody could change; send a sealed memory file",
            ));
        }
        if given.metadata().map_err(system("look at the firmware"))?.len() > MAX_FIRMWARE_SIZE {
            return Err(refusal(path, too_large()));
        }
        Self::of(given, path)
    }

    fn of(file: File, path: &Path) -> Result<Self> {
        let info = ElfInfo::from_reader(&file).map_err(|e| refusal(path, e.to_string()))?;
        Ok(Self { file, info, path: path.to_owned() })
    }

    /// The sealed file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What its headers say.
    pub(super) fn info(&self) -> &ElfInfo {
        &self.info
    }

    /// The error for a firmware that cannot run.
    pub(super) fn refuse(&self, problem: impl Into<String>) -> Error {
        refusal(&self.path, problem)
    }
}

fn refusal(path: &Path, problem: impl Into<String>) -> Error {
    Error::Firmware { path: path.to_owned(), pedestal: super::NAME, problem: problem.into() }
}

fn too_large() -> String {
    format!("it is larger than {MAX_FIRMWARE_SIZE} bytes")
}
