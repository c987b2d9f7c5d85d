//! A file that is open only while it is read: an image may have more files than a process may open.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// A file that is opened by its first read and closed at its end.
pub(super) struct Lazy<'a> {
    path: &'a Path,
    file: Option<File>,
    ended: bool,
}

impl<'a> Lazy<'a> {
    pub(super) const fn new(path: &'a Path) -> Self {
        Self { path, file: None, ended: false }
    }
}

impl Read for Lazy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended {
            return Ok(0);
        }
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::open(self.path)?),
        };
        let read = file.read(buffer)?;
        if read == 0 && !buffer.is_empty() {
            (self.file, self.ended) = (None, true);
        }
        Ok(read)
    }
}
