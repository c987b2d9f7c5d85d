//! What can be read only once, made a file.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::PathBuf;

use nix::unistd::dup2_stdin;

use crate::error::{Error, Result};

/// The name of the standard input in the file system.
pub(crate) const STDIN: &str = "/dev/stdin";
const BUFFER: usize = 128 * 1024;

/// Copies at most `most` bytes to a temporary file without a name: it is gone with the program, however that ends.
/// `wrong` makes the error if `from` cannot be read or has more.
pub(crate) fn spool(mut from: impl Read, most: u64, wrong: impl FnOnce(io::Error) -> Error) -> Result<File> {
    let full = |source| Error::Write { path: env::temp_dir(), source };
    let mut file = tempfile::tempfile().map_err(full)?;
    let mut buffer = vec![0; BUFFER];
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(wrong(e)),
        };
        size += read as u64;
        if size > most {
            let reason = format!("it has more than {most} bytes");
            return Err(wrong(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
        }
        file.write_all(&buffer[..read]).map_err(full)?;
    }
    file.rewind().map_err(full)?;
    Ok(file)
}

/// Makes the standard input a regular file, so that it can be opened by its name, and as often as needed.
pub(crate) fn stdin(most: u64) -> Result<()> {
    let name = PathBuf::from(STDIN);
    let wrong = |source| Error::Read { path: name.clone(), source };
    if fs::metadata(STDIN).map_err(wrong)?.is_file() {
        return Ok(());
    }
    let file = spool(io::stdin().lock(), most, wrong)?;
    dup2_stdin(file).map_err(|e| wrong(e.into()))
}
