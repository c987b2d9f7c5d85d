//! The files of a layer: where each is, what the layer's record says of it, and where its bytes come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use micrun_firmware::record::{self, Change, Content, LayerRecord};
use micrun_firmware::{MAX_FIRMWARE_SIZE, Sha256Digest};

use crate::checksum::Summed;
use crate::error::{Error, Result};
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::sink::Sink;
use crate::timestamp::Timestamp;

/// Files by their path without a leading `/`.
#[derive(Default)]
pub(super) struct Contents {
    files: BTreeMap<String, Item>,
}

struct Item {
    content: Content,
    bytes: Bytes,
}

/// A file is read twice, for its record and for its layer, and never held in memory.
enum Bytes {
    Here(Vec<u8>),
    In {
        file: File,
        path: PathBuf,
        /// What it summed up to when it was read for its record.
        sum: u32,
    },
    /// Those of another file, whose name comes before it.
    Of(String),
}

/// A layer that was written.
pub(super) struct Written {
    pub(super) layer: Layer,
    /// The digest of its record.
    pub(super) record: Sha256Digest,
}

/// Reads a file that is no firmware: what a record says of it, and its checksum.
pub(super) fn measure(file: &File, mode: u32) -> io::Result<(Content, u32)> {
    let mut reader = Summed::new(file);
    reader.rewind()?;
    let (sha256, size) = Sha256Digest::copy(&mut reader.by_ref().take(MAX_FIRMWARE_SIZE), &mut io::sink())?;
    Ok((Content { mode, sha256, size, elf: None, changes: None }, reader.sum()))
}

impl Contents {
    /// Adds a file that is here.
    pub(super) fn put(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.insert(
            place,
            Item { content: Content::of(bytes, FILE_MODE), bytes: Bytes::Here(bytes.to_owned()) },
        )
    }

    /// Adds a file that was read once: `content` and the checksum `sum` are what it was. `path` names it in errors.
    pub(super) fn put_file(
        &mut self,
        place: &str,
        content: Content,
        file: &File,
        path: &Path,
        sum: u32,
    ) -> Result<()> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = file.try_clone().map_err(read)?;
        self.insert(place, Item { content, bytes: Bytes::In { file, path: path.to_owned(), sum } })
    }

    /// Adds another name of a file.
    pub(super) fn link(&mut self, place: &str, content: Content, target: &str) -> Result<()> {
        self.insert(place, Item { content, bytes: Bytes::Of(target.to_owned()) })
    }

    /// Refuses a place that is taken, or that is below a file or above one.
    fn insert(&mut self, place: &str, item: Item) -> Result<()> {
        let is_above = |above: &str, below: &str| Path::new(below).starts_with(above);
        if let Some(other) = self.files.keys().find(|other| is_above(other, place) || is_above(place, other))
        {
            return Err(Error::Argument {
                what: "file",
                value: format!("/{place}"),
                reason: format!("the image has the file /{other}; give this one another place"),
            });
        }
        self.files.insert(place.to_owned(), item);
        Ok(())
    }

    /// Writes the layer, with its record in it. `destination` names the image in errors.
    pub(super) fn write(
        &self,
        out: &mut dyn Sink,
        destination: &Path,
        compression: Compression,
        created: Timestamp,
    ) -> Result<Written> {
        let record = self.record()?;
        let write = |source| Error::Write { path: destination.to_owned(), source };
        let record_path = record::path(0);
        let record_path = record_path.trim_start_matches('/');
        let paths = self.files.keys().map(String::as_str).chain([record_path]);
        let directories: BTreeSet<_> =
            paths.flat_map(|path| Path::new(path).ancestors().skip(1)).filter_map(Path::to_str).collect();
        let mut readers = self.readers().map_err(write)?;
        let mut entries = vec![Entry::Bytes { path: record_path, content: &record }];
        entries.extend(
            directories.into_iter().filter(|it| !it.is_empty()).map(|path| Entry::Directory { path }),
        );
        for ((path, item), reader) in self.files.iter().zip(&mut readers) {
            let Content { mode, size, .. } = item.content;
            entries.push(match (&item.bytes, reader) {
                (Bytes::In { .. }, Some(content)) => Entry::File { path, mode, size, content },
                (Bytes::Here(content), _) => Entry::Bytes { path, content },
                (Bytes::Of(target), _) => Entry::Link { path, target },
                (Bytes::In { .. }, None) => continue,
            });
        }
        entries.sort_by(|one, other| one.path().cmp(other.path()));
        let layer = layer::write(out, entries, compression, created.seconds()).map_err(write)?;
        self.verify(readers).map_err(write)?;
        Ok(Written { layer, record: Sha256Digest::of(&record) })
    }

    fn record(&self) -> Result<Vec<u8>> {
        let mut record = LayerRecord::default();
        for (path, item) in &self.files {
            record.insert(&format!("/{path}"), Change::Add(item.content.clone()))?;
        }
        Ok(record.to_json()?)
    }

    /// The files from their first byte on; nothing for those that are here.
    fn readers(&self) -> io::Result<Vec<Option<Summed<&File>>>> {
        let mut readers = Vec::new();
        for item in self.files.values() {
            readers.push(match &item.bytes {
                Bytes::Here(_) | Bytes::Of(_) => None,
                Bytes::In { file, .. } => {
                    let mut file = file;
                    file.rewind()?;
                    Some(Summed::new(file))
                }
            });
        }
        Ok(readers)
    }

    /// Whether what was read is what is recorded. The layer has already found that it is neither shorter nor longer.
    fn verify(&self, readers: Vec<Option<Summed<&File>>>) -> io::Result<()> {
        for (item, reader) in self.files.values().zip(readers) {
            if let (Bytes::In { path, sum, .. }, Some(reader)) = (&item.bytes, reader)
                && reader.sum() != *sum
            {
                let changed = format!("{} changed while it was being packed", path.display());
                return Err(io::Error::other(changed));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::sink;

    /// Half a file of one build and half of the next is neither.
    #[test]
    fn a_file_that_changed_since_it_was_measured_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&vec![7; 300_000], 0).unwrap();
        let (content, sum) = measure(&file, FILE_MODE).unwrap();
        let mut contents = Contents::default();
        contents.put_file("data", content, &file, Path::new("data"), sum).unwrap();
        let write = || {
            let output = directory.path().join("image.tar");
            let mut sink = sink::create(&output, 0).unwrap();
            sink.begin().unwrap();
            contents
                .write(sink.as_mut(), &output, Compression::None, Timestamp::from_env().unwrap())
                .map(|it| it.layer.diff)
        };
        let first = write().unwrap();
        assert_eq!(write().unwrap(), first);
        file.write_all_at(&[8], 200_000).unwrap();
        let error = write().err().unwrap();
        let said = std::error::Error::source(&error).unwrap().to_string();
        assert!(said.contains("data changed while it was being packed"), "{said}");
    }
}
