//! The files of a build, in a directory or in an archive of it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::fault::{Fault, Result};

/// The largest text that is read: generated configurations have some hundred kilobytes.
const MAX_TEXT: u64 = 8 << 20;

/// Files by their path from the top, names separated by `/`.
pub(crate) trait Tree {
    /// The name of the top directory, if it has one.
    fn name(&self) -> Option<String>;
    /// Whether there is a regular file.
    fn has(&self, path: &str) -> bool;
    /// The files named `*.elf`, sorted: in an archive those below a folder (empty, or with a slash at its end), in
    /// a directory those in it.
    fn elves(&self, folder: &str) -> Result<Vec<String>>;
    /// Copies a file, which has at most `limit` bytes.
    fn copy(&self, path: &str, limit: u64, out: &mut dyn Write) -> Result<()>;

    /// The text of a file; empty without the file.
    fn text(&self, path: &str) -> Result<String> {
        if !self.has(path) {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        self.copy(path, MAX_TEXT, &mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// A directory of the host.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    /// The path of one of its files on the host.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }
}

impl Tree for Directory {
    fn name(&self) -> Option<String> {
        let path = fs::canonicalize(&self.0).ok()?;
        Some(path.file_name()?.to_string_lossy().into_owned())
    }

    fn has(&self, path: &str) -> bool {
        self.path(path).is_file()
    }

    fn elves(&self, folder: &str) -> Result<Vec<String>> {
        let mut names = Vec::new();
        if !self.path(folder).is_dir() {
            return Ok(names);
        }
        for entry in fs::read_dir(self.path(folder))? {
            let Ok(name) = entry?.file_name().into_string() else { continue };
            let is_elf = Path::new(&name).extension().is_some_and(|it| it.eq_ignore_ascii_case("elf"));
            let path = format!("{folder}{name}");
            if is_elf && self.has(&path) {
                names.push(path);
            }
        }
        names.sort();
        Ok(names)
    }

    fn copy(&self, path: &str, limit: u64, out: &mut dyn Write) -> Result<()> {
        let copied = io::copy(&mut File::open(self.path(path))?.take(limit + 1), out)?;
        if copied > limit {
            return Err(Fault::refused(format!("{path:?} has more than the {limit} bytes that are read")));
        }
        Ok(())
    }
}
