//! The firmware's bytes in a sealed memory file: what was checked is what QEMU loads.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use micrun_firmware::client_conf::QemuSection;
use micrun_firmware::qemu::{self, Bios, Completed};
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
    /// Boot code that is no part of QEMU, sealed as well.
    boot_code: Option<File>,
}

impl Image {
    /// Copies the firmware at `path` and the boot code that `section` names, seals the copies and checks what they are.
    /// Blocks.
    pub(super) fn load(path: &Path, section: &QemuSection) -> Result<Self> {
        Self::of(seal(path)?, path, section)
    }

    /// Takes the firmware that came with the command and is that of the file at `path`; as [`Self::load`] otherwise.
    /// Whoever has written it pays for it, so it is not copied.
    pub(super) fn take(given: OwnedFd, path: &Path, section: &QemuSection) -> Result<Self> {
        let given = File::from(given);
        if !memory_file::is_sealed(&given) {
            return Err(refuse(
                path,
                "it came as a file that somebody could change; send a sealed memory file",
            ));
        }
        if given.metadata().map_err(system("look at the firmware"))?.len() > MAX_FIRMWARE_SIZE {
            return Err(too_large(path));
        }
        Self::of(given, path, section)
    }

    fn of(file: File, path: &Path, section: &QemuSection) -> Result<Self> {
        let info = ElfInfo::from_reader(&file).map_err(|e| refuse(path, e.to_string()))?;
        let Completed { bios, board, .. } = Completed::of(section, &info);
        let boot_code = match bios.as_ref().and_then(Bios::file).map(Path::new) {
            Some(path) => {
                let file = seal(path)?;
                let checked = qemu::check_bios(&path.display().to_string(), &file, &info, board);
                checked.map_err(|e| refuse(path, e.to_string()))?;
                Some(file)
            }
            None => None,
        };
        Ok(Self { file, info, path: path.to_owned(), boot_code })
    }

    /// The sealed file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What its headers say.
    pub(super) fn info(&self) -> &ElfInfo {
        &self.info
    }

    /// The sealed boot code, in place of QEMU's own.
    pub(super) fn boot_code(&self) -> Option<&File> {
        self.boot_code.as_ref()
    }

    /// The error for a firmware that cannot run.
    pub(super) fn refuse(&self, problem: impl Into<String>) -> Error {
        refuse(&self.path, problem)
    }
}

fn refuse(path: &Path, problem: impl Into<String>) -> Error {
    Error::Firmware { path: path.to_owned(), pedestal: super::NAME, problem: problem.into() }
}

fn too_large(path: &Path) -> Error {
    refuse(path, format!("it is larger than {MAX_FIRMWARE_SIZE} bytes"))
}

/// A copy of the file at `path`, from its beginning on, that nobody can change.
fn seal(path: &Path) -> Result<File> {
    let source = firmware_file::open(path, super::NAME)?;
    let doing = "make a memory file for the firmware";
    let sealed = memory_file::create().map_err(system(doing))?;
    let size = copy(&source, &sealed, MAX_FIRMWARE_SIZE + 1, |_| ()).map_err(file("read", path))?;
    if size > MAX_FIRMWARE_SIZE {
        return Err(too_large(path));
    }
    memory_file::seal(&sealed).map_err(system(doing))?;
    Ok(sealed)
}
