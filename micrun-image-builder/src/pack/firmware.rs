//! The firmware file: checked, recorded and streamed into its layer.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::elf::ElfInfo;
use micrun_firmware::record::{self, Change, Content, LayerRecord};
use micrun_firmware::{Evidence, Settings, Sha256Digest};

use super::FIRMWARE;
use crate::digest::MeteredReader;
use crate::error::{Error, Result};
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::sink::Sink;
use crate::timestamp::Timestamp;

/// A firmware ELF, open. It is read twice, for its record and for its layer, and never held in memory.
pub(super) struct Firmware {
    pub(super) path: PathBuf,
    file: File,
    pub(super) info: ElfInfo,
    /// The digest of the file; that of nothing until its record is made.
    pub(super) digest: Sha256Digest,
}

impl Firmware {
    /// Opens the file and reads its headers.
    pub(super) fn open(path: &Path, output: &Path) -> Result<Self> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        // Looked at before it is opened: opening a fifo would wait for a writer.
        let found = fs::metadata(path).map_err(read)?;
        if !found.is_file() {
            return Err(Error::Refused {
                path: path.to_owned(),
                reason: "it is not a regular file".to_owned(),
            });
        }
        let same = |other: fs::Metadata| (other.dev(), other.ino()) == (found.dev(), found.ino());
        if fs::metadata(output).is_ok_and(same) {
            return Err(Error::Destination {
                path: output.to_owned(),
                reason: "it is the firmware itself; name another with --output",
            });
        }
        let file = File::open(path).map_err(read)?;
        let info = ElfInfo::from_reader(&file).map_err(|e| e.in_file(&path.display().to_string()))?;
        Ok(Self { path: path.to_owned(), file, info, digest: Sha256Digest::of(&[]) })
    }

    /// Whether it can run with these settings.
    pub(super) fn check(&self, settings: &Settings) -> Result<()> {
        Ok(settings.check(&self.info).map_err(|e| e.in_file(&self.path.display().to_string()))?)
    }

    /// What it carries that tells where it comes from.
    pub(super) fn evidence(&self) -> Result<Evidence> {
        Evidence::read(&self.file, &self.info).map_err(|e| e.in_file(&self.path.display().to_string()).into())
    }

    /// The refusal of it, for this reason.
    pub(super) fn refuse(&self, reason: impl Into<String>) -> Error {
        Error::Refused { path: self.path.clone(), reason: reason.into() }
    }

    /// Makes the record of the layer that adds this firmware and `conf`, and so learns the digest.
    pub(super) fn record(&mut self, conf: &[u8]) -> Result<Vec<u8>> {
        let firmware = Content::of_firmware(&mut &self.file, &self.info, FILE_MODE)
            .map_err(|e| e.in_file(&self.path.display().to_string()))?;
        self.digest = firmware.sha256;
        let mut record = LayerRecord::default();
        record.insert(&format!("/{FIRMWARE}"), Change::Add(firmware))?;
        record.insert(&format!("/{CONF}"), Change::Add(Content::of(conf, FILE_MODE)))?;
        Ok(record.to_json()?)
    }

    /// Streams the layer: the record, `conf` and the firmware, sorted by path.
    pub(super) fn layer(
        &self,
        out: &mut dyn Sink,
        conf: &[u8],
        record: &[u8],
        compression: Compression,
        created: Timestamp,
    ) -> io::Result<Layer> {
        let mut content = &self.file;
        content.rewind()?;
        let mut firmware = MeteredReader::new(content);
        let record_path = record::path(0);
        let entries = [
            Entry::Directory { path: ".micrun" },
            Entry::Directory { path: record::DIRECTORY.trim_start_matches('/') },
            Entry::Bytes { path: record_path.trim_start_matches('/'), content: record },
            Entry::Bytes { path: CONF, content: conf },
            Entry::File { path: FIRMWARE, size: self.info.file_size, content: &mut firmware },
        ];
        let layer = layer::write(out, entries, compression, created.seconds())?;
        if firmware.drain()?.digest.digest() == self.digest.hex() {
            Ok(layer)
        } else {
            Err(io::Error::other(format!("{} changed while it was being packed", self.path.display())))
        }
    }
}
