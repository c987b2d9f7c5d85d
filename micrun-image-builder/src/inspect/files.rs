//! `--files`: everything that a container sees of the image.

use std::fmt;

use serde::Serialize;

use crate::layers::{Kind, Tree, quoted};

/// A file of any kind.
#[derive(Clone, Serialize)]
pub(super) struct FileEntry {
    /// Absolute; bytes that are no UTF-8 are replaced.
    path: String,
    /// `file`, `directory`, `symlink`, `device` or `fifo`.
    kind: &'static str,
    /// Permission bits, four octal digits.
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Where a symbolic link leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// All files, by path.
pub(super) fn list(tree: &Tree) -> Vec<FileEntry> {
    let entries = tree.walk().map(|(path, node)| {
        let mut entry = FileEntry {
            path: format!("/{}", String::from_utf8_lossy(&path)),
            kind: "directory",
            mode: format!("{:04o}", node.meta.mode),
            size: None,
            sha256: None,
            target: None,
        };
        match &node.kind {
            Kind::Directory(_) => {}
            Kind::File(content) => {
                entry.kind = "file";
                entry.size = Some(content.size);
                entry.sha256 = Some(content.sha256.to_string());
            }
            Kind::Symlink(target) => {
                entry.kind = "symlink";
                entry.target = Some(String::from_utf8_lossy(target).into_owned());
            }
            Kind::Device(..) | Kind::Whiteout => entry.kind = "device",
            Kind::Fifo => entry.kind = "fifo",
        }
        entry
    });
    entries.collect()
}

impl fmt::Display for FileEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<9}  {}  {}", self.kind, self.mode, quoted(self.path.as_bytes()))?;
        if let Some(target) = &self.target {
            write!(f, " -> {}", quoted(target.as_bytes()))?;
        }
        if let (Some(size), Some(sha256)) = (self.size, &self.sha256) {
            write!(f, "  {size} bytes, {sha256}")?;
        }
        Ok(())
    }
}
