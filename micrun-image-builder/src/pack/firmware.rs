//! The firmware file: checked, recorded and streamed into its layer.

use std::fs::File;
use std::io::{self, Seek};
use std::path::PathBuf;

use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::elf::ElfInfo;
use micrun_firmware::record::{self, Change, Content, LayerRecord};
use micrun_firmware::{Evidence, Settings, Sha256Digest, signature};

use super::FIRMWARE;
use super::input::{self, BuildFacts, Input};
use super::pedestal_file::PedestalFile;
use crate::cli::PackArgs;
use crate::digest::MeteredReader;
use crate::error::{Error, Result};
use crate::layer::{self, Compression, Entry, FILE_MODE, Layer};
use crate::sink::Sink;
use crate::timestamp::Timestamp;

/// What the layer has beside the firmware.
pub(super) struct Files<'a> {
    pub(super) conf: &'a [u8],
    pub(super) beside: Option<&'a PedestalFile>,
    pub(super) signature: Option<&'a [u8]>,
    pub(super) record: &'a [u8],
}

/// A firmware as an ELF, open. It is read twice, for its record and for its layer, and never held in memory.
pub(super) struct Firmware {
    /// What was given.
    pub(super) path: PathBuf,
    file: File,
    pub(super) info: ElfInfo,
    /// What its build says about it.
    pub(super) facts: BuildFacts,
    /// What the user should know about it.
    pub(super) notes: Vec<String>,
    /// The digest of the file; that of nothing until it is measured.
    pub(super) digest: Sha256Digest,
}

impl Firmware {
    /// Opens what was given and reads the headers of the ELF that it is or has become.
    pub(super) fn open(args: &PackArgs) -> Result<Self> {
        let path = &args.firmware;
        let Input { file, info, facts, notes } = input::open(path, &args.input)?;
        Ok(Self { path: path.clone(), file, info, facts, notes, digest: Sha256Digest::of(&[]) })
    }

    /// The ELF.
    pub(super) fn file(&self) -> &File {
        &self.file
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

    /// What the record says of the firmware. Reads the file once, and so learns its digest.
    pub(super) fn measure(&mut self) -> Result<Content> {
        let content = Content::of_firmware(&mut &self.file, &self.info, FILE_MODE)
            .map_err(|e| e.in_file(&self.path.display().to_string()))?;
        self.digest = content.sha256;
        Ok(content)
    }

    /// The record of the layer that adds this firmware, as it was measured, and what is beside it.
    pub(super) fn record(
        firmware: Content,
        conf: &[u8],
        beside: Option<&PedestalFile>,
        signature: Option<&[u8]>,
    ) -> Result<Vec<u8>> {
        let mut record = LayerRecord::default();
        record.insert(&format!("/{FIRMWARE}"), Change::Add(firmware))?;
        record.insert(&format!("/{CONF}"), Change::Add(Content::of(conf, FILE_MODE)))?;
        if let Some(file) = beside {
            record.insert(&format!("/{}", file.place), Change::Add(file.content()))?;
        }
        if let Some(signature) = signature {
            record.insert(signature::PATH, Change::Add(Content::of(signature, FILE_MODE)))?;
        }
        Ok(record.to_json()?)
    }

    /// Streams the layer: the firmware and the other files, sorted by path.
    pub(super) fn layer(
        &self,
        out: &mut dyn Sink,
        files: &Files<'_>,
        compression: Compression,
        created: Timestamp,
    ) -> io::Result<Layer> {
        let Files { conf, beside, signature, record } = *files;
        let mut content = &self.file;
        content.rewind()?;
        let mut firmware = MeteredReader::new(content);
        let mut other = beside.map(PedestalFile::reader).transpose()?;
        let record_path = record::path(0);
        let mut entries = vec![
            Entry::Directory { path: ".micrun" },
            Entry::Directory { path: record::DIRECTORY.trim_start_matches('/') },
            Entry::Bytes { path: record_path.trim_start_matches('/'), content: record },
            Entry::Bytes { path: CONF, content: conf },
            Entry::File { path: FIRMWARE, size: self.info.file_size, content: &mut firmware },
        ];
        if let Some(content) = signature {
            entries.push(Entry::Bytes { path: signature::PATH.trim_start_matches('/'), content });
        }
        if let (Some(file), Some(reader)) = (beside, &mut other) {
            entries.push(file.entry(reader));
        }
        entries.sort_by(|one, other| one.path().cmp(other.path()));
        let layer = layer::write(out, entries, compression, created.seconds())?;
        if let (Some(file), Some(reader)) = (beside, other) {
            file.verify(reader)?;
        }
        if firmware.drain()?.digest.digest() == self.digest.hex() {
            Ok(layer)
        } else {
            Err(io::Error::other(format!("{} changed while it was being packed", self.path.display())))
        }
    }
}
