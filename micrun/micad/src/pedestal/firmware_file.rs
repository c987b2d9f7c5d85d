//! A client's firmware file, opened for reading. Its path comes from outside.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use micrun_firmware::ElfInfo;
use nix::fcntl::OFlag;

use crate::error::file;
use crate::{Error, Result};

/// Opens the regular file at `path`, for the pedestal of that name. A FIFO in its place does not block.
pub(super) fn open(path: &Path, pedestal: &'static str) -> Result<File> {
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let opened =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::NoSuchFile(path.to_owned()),
            _ => file("read", path)(e),
        })?;
    if !opened.metadata().map_err(file("read", path))?.is_file() {
        let problem = "it is not a regular file".to_owned();
        return Err(Error::Firmware { path: path.to_owned(), pedestal, problem });
    }
    Ok(opened)
}

/// What the headers of the firmware at `path` say.
pub(super) fn info(path: &Path, pedestal: &'static str) -> Result<ElfInfo> {
    ElfInfo::from_reader(open(path, pedestal)?).map_err(|e| Error::Firmware {
        path: path.to_owned(),
        pedestal,
        problem: e.to_string(),
    })
}
