//! The files of a layer: where each is, what the layer's record says of it, and where its bytes come from.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Seek};
use std::path::{Path, PathBuf};

use micrun_firmware::Sha256Digest;
use micrun_firmware::record::{self, Change, Content, LayerRecord};

use crate::digest::MeteredReader;
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

impl Contents {
    /// Adds a file that is here.
    pub(super) fn put(&mut self, place: &str, bytes: &[u8]) -> Result<()> {
        self.insert(
            place,
            Item { content: Content::of(bytes, FILE_MODE), bytes: Bytes::Here(bytes.to_owned()) },
        )
    }

    /// Adds a file that was read once: `content` is what it was. `path` names it in errors.
    pub(super) fn put_file(&mut self, place: &str, content: Content, file: &File, path: &Path) -> Result<()> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let file = file.try_clone().map_err(read)?;
        self.insert(place, Item { content, bytes: Bytes::In { file, path: path.to_owned() } })
    }

    /// Adds another name of a file.
    pub(super) fn link(&mut self, place: &str, content: Content, target: &str) -> Result<()> {
        self.insert(place, Item { content, bytes: Bytes::Of(target.to_owned()) })
    }

    /// Refuses a place that is taken, or that is below a file or above one.
    fn insert(&mut self, place: &str, item: Item) -> Result<()> {
        let is_above = |above: &str, below: &str| Path::new(below).starts_with(above);
        match self.files.keys().find(|other| is_above(other, place) || is_above(place, other)) {
            Some(other) => Err(Error::Argument {
                what: "file",
                value: format!("/{place}"),
                reason: format!("the image has the file /{other}; give this one another place"),
            }),
            None => {
                self.files.insert(place.to_owned(), item);
                Ok(())
            }
        }
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
    fn readers(&self) -> io::Result<Vec<Option<MeteredReader<&File>>>> {
        let mut readers = Vec::new();
        for item in self.files.values() {
            readers.push(match &item.bytes {
                Bytes::Here(_) | Bytes::Of(_) => None,
                Bytes::In { file, .. } => {
                    let mut file = file;
                    file.rewind()?;
                    Some(MeteredReader::new(file))
                }
            });
        }
        Ok(readers)
    }

    /// Whether what was read is what is recorded.
    fn verify(&self, readers: Vec<Option<MeteredReader<&File>>>) -> io::Result<()> {
        for (item, reader) in self.files.values().zip(readers) {
            if let (Bytes::In { path, .. }, Some(reader)) = (&item.bytes, reader)
                && reader.drain()?.digest.digest() != item.content.sha256.hex()
            {
                let changed = format!("{} changed while it was being packed", path.display());
                return Err(io::Error::other(changed));
            }
        }
        Ok(())
    }
}
