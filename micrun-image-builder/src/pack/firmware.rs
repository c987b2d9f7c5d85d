//! The firmware file: opened, checked and measured.

use std::fs::File;
use std::path::PathBuf;

use micrun_firmware::elf::ElfInfo;
use micrun_firmware::record::Content;
use micrun_firmware::{Evidence, Settings, Sha256Digest};

use super::input::{self, BuildFacts, Input};
use crate::checksum::Summed;
use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::layer::FILE_MODE;

/// A firmware as an ELF, open. It is read twice, for its record and for its layer, and never held in memory.
pub(super) struct Firmware {
    /// What was given.
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) info: ElfInfo,
    /// What its build says about it.
    pub(super) facts: BuildFacts,
    /// What the user should know about it.
    pub(super) notes: Vec<String>,
    /// The digest of the file; that of nothing until it is measured.
    pub(super) digest: Sha256Digest,
    /// Its checksum, likewise.
    pub(super) sum: u32,
}

impl Firmware {
    /// Opens what was given and reads the headers of the ELF that it is or has become.
    pub(super) fn open(args: &PackArgs) -> Result<Self> {
        let path = &args.firmware;
        let Input { file, info, facts, notes } = input::open(path, &args.input)?;
        Ok(Self { path: path.clone(), file, info, facts, notes, digest: Sha256Digest::of(&[]), sum: 0 })
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

    /// What the record says of the firmware. Reads the file once, and so learns its digest and checksum.
    pub(super) fn measure(&mut self) -> Result<Content> {
        let mut reader = Summed::new(&self.file);
        let content = Content::of_firmware(&mut reader, &self.info, FILE_MODE)
            .map_err(|e| e.in_file(&self.path.display().to_string()))?;
        (self.digest, self.sum) = (content.sha256, reader.sum());
        Ok(content)
    }
}
