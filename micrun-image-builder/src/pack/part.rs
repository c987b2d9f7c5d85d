//! A firmware that is ready to be packed, with the files that decide how it runs.

use std::path::Path;

use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::record::Content;
use micrun_firmware::signature::{self, Signed};
use micrun_firmware::{Pedestal, Sha256Digest, delta};

use super::FIRMWARE;
use super::conf::{self, Conf};
use super::contents::Contents;
use super::firmware::Firmware;
use super::pedestal_file::PedestalFile;
use crate::cli::PackArgs;
use crate::error::Result;
use crate::platform::Host;
use crate::provenance;

/// What an image has for one board, or at all.
pub(super) struct Part {
    pub(super) firmware: Firmware,
    pub(super) conf: Conf,
    content: Content,
    pub(super) beside: Option<PedestalFile>,
    signature: Option<Vec<u8>>,
    /// Whether a later delta finds the firmware under a second name.
    updatable: bool,
}

impl Part {
    /// Checks a firmware, makes its client.conf and signs both. `title` is the client's name if the options give none.
    pub(super) fn prepare(args: &PackArgs, title: &str, mut firmware: Firmware) -> Result<Self> {
        let conf = conf::make(args, title, &firmware)?;
        firmware.check(&conf.settings)?;
        let beside = PedestalFile::open(args, &conf.settings, &firmware)?;
        let content = firmware.measure()?;
        let signature =
            args.sign_key.as_deref().map(|key| sign(key, &conf, &firmware, beside.as_ref())).transpose()?;
        conf.check_promises(&firmware)?;
        Ok(Self { firmware, conf, content, beside, signature, updatable: args.updatable })
    }

    /// Adds its files to those of an image, below `directory`, which is empty or ends with a slash.
    pub(super) fn add_to(&self, contents: &mut Contents, directory: &str) -> Result<()> {
        let Self { firmware, conf, content, beside, signature, updatable } = self;
        let place = |path: &str| format!("{directory}{}", path.trim_start_matches('/'));
        if *updatable {
            let base = place(&delta::base_path(0));
            let plain = Content { elf: None, ..content.clone() };
            contents.put_file(&base, plain, &firmware.file, &firmware.path, firmware.sum)?;
            contents.link(&place(FIRMWARE), content.clone(), &base)?;
        } else {
            contents.put_file(
                &place(FIRMWARE),
                content.clone(),
                &firmware.file,
                &firmware.path,
                firmware.sum,
            )?;
        }
        contents.put(&place(CONF), conf.text.as_bytes())?;
        if let Some(beside) = beside {
            contents.put_file(
                &place(beside.place),
                beside.content(),
                &beside.file,
                &beside.path,
                beside.sum,
            )?;
        }
        if let Some(signature) = signature {
            contents.put(&place(signature::PATH), signature)?;
        }
        Ok(())
    }

    /// The hosts that can run it.
    pub(super) fn hosts(&self) -> Vec<Host> {
        if self.conf.settings.pedestal.value == Pedestal::Qemu {
            return Host::with_microvm();
        }
        Host::with_core(self.firmware.info.machine).into_iter().collect()
    }

    /// What the user should know about it.
    pub(super) fn notes(&self) -> impl Iterator<Item = &String> {
        self.firmware.notes.iter().chain(&self.conf.notes)
    }
}

/// The signature of the key in a file, for everything that decides what runs.
fn sign(key: &Path, conf: &Conf, firmware: &Firmware, beside: Option<&PedestalFile>) -> Result<Vec<u8>> {
    let signed = Signed {
        firmware: firmware.digest,
        conf: Some(Sha256Digest::of(conf.text.as_bytes())),
        pedestal_file: beside.map(|it| it.content().sha256),
    };
    Ok(signed.sign(&provenance::load_key(key)?)?)
}
