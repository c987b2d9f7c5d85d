//! The file that an archive is in: a regular one, a pipe, compressed or not.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::Path;

use crate::compressed::Format;
use crate::error::{Error, Result};
use crate::spool::spool;

/// How the standard input is named.
const STDIN: &str = "-";
/// What a pipe may give, and what a compressed archive may become: more than any image of firmware.
const MAX_ARCHIVE: u64 = 16 << 30;

/// Whether an image is a layout directory.
pub(super) fn is_directory(path: &Path) -> Result<bool> {
    if path == STDIN {
        return Ok(false);
    }
    let kind = fs::metadata(path).map_err(read_error(path))?.file_type();
    if kind.is_dir() || kind.is_file() || kind.is_fifo() {
        return Ok(kind.is_dir());
    }
    Err(Error::NotImage {
        path: path.to_owned(),
        reason: "it is neither a file nor a directory nor a pipe".to_owned(),
    })
}

/// Opens an archive as a plain tar that can be read anywhere.
pub(super) fn open(path: &Path) -> Result<File> {
    let file = plain(path)?;
    let mut start = [0; 6];
    let read = file.read_at(&mut start, 0).map_err(read_error(path))?;
    let format = Format::of_content(&start[..read]);
    if format == Format::Plain {
        return Ok(file);
    }
    let damaged = |e: io::Error| match e.raw_os_error() {
        Some(_) => read_error(path)(e),
        None => Error::Damaged(format!("{} cannot be decompressed: {e}", path.display())),
    };
    spool(format.reader(&file).map_err(damaged)?, MAX_ARCHIVE, damaged)
}

/// Opens a file. What a pipe gives becomes one.
fn plain(path: &Path) -> Result<File> {
    if path == STDIN {
        return spool(io::stdin().lock(), MAX_ARCHIVE, read_error(path));
    }
    let file = File::open(path).map_err(read_error(path))?;
    if file.metadata().map_err(read_error(path))?.is_file() {
        return Ok(file);
    }
    spool(file, MAX_ARCHIVE, read_error(path))
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Read { path, source }
}
