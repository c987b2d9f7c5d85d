//! The file that some pedestals want beside the firmware, and the boot code of a RISC-V machine: checked and
//! measured. No image has both.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use micrun_firmware::qemu::{self, Bios};
use micrun_firmware::record::Content;
use micrun_firmware::{MAX_FIRMWARE_SIZE, PEDESTAL_FILE_START, Pedestal, Settings, pedestal_file_fault};

use super::{Firmware, contents};
use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::layer::FILE_MODE;

/// Its place in the image, as upstream has it.
pub(super) const PATH: &str = "image.bin";
/// The boot code's place.
pub(super) const BIOS: &str = "bios.bin";

/// The file of a pedestal, open.
pub(super) struct PedestalFile {
    pub(super) path: PathBuf,
    /// Its place in the image.
    pub(super) place: &'static str,
    pub(super) file: File,
    /// Its checksum.
    pub(super) sum: u32,
    content: Content,
}

impl PedestalFile {
    /// Opens the file of the options, if the settings want one; with none or one too many, it is an error.
    pub(super) fn open(args: &PackArgs, settings: &Settings, firmware: &Firmware) -> Result<Option<Self>> {
        let pedestal = settings.pedestal.value;
        if let Some(bios) = Self::open_bios(args, settings, firmware)? {
            return Ok(Some(bios));
        }
        match (&args.input.pedestal_conf, pedestal.needs_conf_file()) {
            (None, false) => Ok(None),
            (Some(path), true) => {
                let mut file = open(path)?;
                let read = |source| Error::Read { path: path.to_owned(), source };
                let mut start = Vec::new();
                file.by_ref().take(PEDESTAL_FILE_START as u64).read_to_end(&mut start).map_err(read)?;
                if let Some(fault) = pedestal_file_fault(pedestal, &start) {
                    return Err(refuse(path, format!("it will not do for the pedestal {pedestal}: {fault}")));
                }
                Self::of(path, file, PATH).map(Some)
            }
            (Some(path), false) => Err(refuse(
                path,
                format!("the pedestal {pedestal} takes no file beside the firmware; omit --pedestal-conf"),
            )),
            (None, true) => Err(refuse(
                &args.firmware,
                format!(
                    "the pedestal {pedestal} needs a file beside the firmware ({}); name it with --pedestal-conf",
                    what(pedestal)
                ),
            )),
        }
    }

    /// The boot code, if the settings want a file of the image to be it.
    fn open_bios(args: &PackArgs, settings: &Settings, firmware: &Firmware) -> Result<Option<Self>> {
        let bios = settings.qemu_bios.value.as_ref().filter(|_| settings.pedestal.value == Pedestal::Qemu);
        match (&args.input.bios, bios.and_then(Bios::file)) {
            (Some(path), Some(_)) => {
                let file = open(path)?;
                let board = qemu::board(&settings.qemu_machine.value, &firmware.info);
                qemu::check_bios(&path.display().to_string(), &file, &firmware.info, board)?;
                Self::of(path, file, BIOS).map(Some)
            }
            (Some(path), None) => Err(refuse(
                path,
                "only RISC-V firmware on the pedestal qemu has boot code; omit --bios".to_owned(),
            )),
            (None, Some(named)) => Err(firmware.refuse(format!(
                "Bios in client.conf names {named}, which the image would not have; give the file with --bios"
            ))),
            (None, None) => Ok(None),
        }
    }

    /// The file at `path`, digested.
    fn of(path: &Path, file: File, place: &'static str) -> Result<Self> {
        let measured = contents::measure(&file, FILE_MODE);
        let (content, sum) = measured.map_err(|source| Error::Read { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), place, file, sum, content })
    }

    /// What the layer's record says of it.
    pub(super) fn content(&self) -> Content {
        self.content.clone()
    }
}

/// Opens a regular file that is no larger than a firmware.
fn open(path: &Path) -> Result<File> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    // Looked at before it is opened: opening a fifo would wait for a writer.
    let found = fs::metadata(path).map_err(read)?;
    if !found.is_file() {
        return Err(refuse(path, "it is not a regular file".to_owned()));
    }
    if found.len() > MAX_FIRMWARE_SIZE {
        let size = found.len();
        return Err(refuse(path, format!("it has {size} bytes, more than the {MAX_FIRMWARE_SIZE} allowed")));
    }
    File::open(path).map_err(read)
}

fn refuse(path: &Path, reason: String) -> Error {
    Error::Refused { path: path.to_owned(), reason }
}

/// What the file is.
const fn what(pedestal: Pedestal) -> &'static str {
    match pedestal {
        Pedestal::Xen => "the guest kernel, a .bin",
        Pedestal::Jailhouse => "the cell, a .cell",
        _ => "the binary for the other processor",
    }
}
