//! The firmware's bytes, copied once: what was checked is what QEMU loads.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use micrun_firmware::client_conf::QemuSection;
use micrun_firmware::qemu::{self, Bios, Completed};
use micrun_firmware::{ElfInfo, MAX_FIRMWARE_SIZE};
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use crate::error::{file, system};
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
        let file = seal(path)?;
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

/// A copy of the file at `path`, from its beginning on, that nobody can change.
fn seal(path: &Path) -> Result<File> {
    // A fifo in place of the file must not block the daemon.
    let opened = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
    let source = opened.map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::NoSuchFile(path.to_owned()),
        _ => file("read", path)(e),
    })?;
    if !source.metadata().map_err(file("read", path))?.is_file() {
        return Err(refuse(path, "it is not a regular file"));
    }
    let doing = "make a memory file for the firmware";
    let memfd = memfd_create(c"firmware", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING);
    let mut copy = File::from(memfd.map_err(system(doing))?);
    let size =
        std::io::copy(&mut source.take(MAX_FIRMWARE_SIZE + 1), &mut copy).map_err(file("read", path))?;
    if size > MAX_FIRMWARE_SIZE {
        return Err(refuse(path, format!("it is larger than {MAX_FIRMWARE_SIZE} bytes")));
    }
    let seals =
        SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    fcntl(&copy, FcntlArg::F_ADD_SEALS(seals)).map_err(system(doing))?;
    copy.rewind().map_err(system(doing))?;
    Ok(copy)
}
