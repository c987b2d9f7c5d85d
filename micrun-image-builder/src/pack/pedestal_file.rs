//! The file that some pedestals want beside the firmware: checked, recorded and streamed into the layer.

use std::fs::{self, File};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use micrun_firmware::record::Content;
use micrun_firmware::{MAX_FIRMWARE_SIZE, PEDESTAL_FILE_START, Pedestal, Sha256Digest, pedestal_file_fault};

use crate::cli::PackArgs;
use crate::digest::MeteredReader;
use crate::error::{Error, Result};
use crate::layer::{self, FILE_MODE};

/// Its place in the image, as upstream has it.
pub(super) const PATH: &str = "image.bin";

/// The file of a pedestal, open.
pub(super) struct PedestalFile {
    path: PathBuf,
    file: File,
    content: Content,
}

impl PedestalFile {
    /// Opens the file of the options, if the pedestal wants one; with none or one too many, it is an error.
    pub(super) fn open(args: &PackArgs, pedestal: Pedestal) -> Result<Option<Self>> {
        match (&args.input.pedestal_conf, pedestal.needs_conf_file()) {
            (None, false) => Ok(None),
            (Some(path), true) => Self::read(path, pedestal).map(Some),
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

    fn read(path: &Path, pedestal: Pedestal) -> Result<Self> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        // Looked at before it is opened: opening a fifo would wait for a writer.
        let found = fs::metadata(path).map_err(read)?;
        if !found.is_file() {
            return Err(refuse(path, "it is not a regular file".to_owned()));
        }
        if found.len() > MAX_FIRMWARE_SIZE {
            let size = found.len();
            return Err(refuse(
                path,
                format!("it has {size} bytes, more than the {MAX_FIRMWARE_SIZE} allowed"),
            ));
        }
        let mut file = File::open(path).map_err(read)?;
        let mut start = Vec::new();
        file.by_ref().take(PEDESTAL_FILE_START as u64).read_to_end(&mut start).map_err(read)?;
        if let Some(fault) = pedestal_file_fault(pedestal, &start) {
            return Err(refuse(path, format!("it will not do for the pedestal {pedestal}: {fault}")));
        }
        file.rewind().map_err(read)?;
        let copied = Sha256Digest::copy(&mut file.by_ref().take(MAX_FIRMWARE_SIZE), &mut io::sink());
        let (sha256, size) = copied.map_err(read)?;
        let content = Content { mode: FILE_MODE, sha256, size, elf: None };
        Ok(Self { path: path.to_owned(), file, content })
    }

    /// What the layer's record says of it.
    pub(super) fn content(&self) -> Content {
        self.content.clone()
    }

    /// The bytes for the layer, from the first on.
    pub(super) fn reader(&self) -> io::Result<MeteredReader<&File>> {
        let mut file = &self.file;
        file.rewind()?;
        Ok(MeteredReader::new(file))
    }

    /// The layer's entry.
    pub(super) fn entry<'a>(&self, reader: &'a mut MeteredReader<&File>) -> layer::Entry<'a> {
        layer::Entry::File { path: PATH, size: self.content.size, content: reader }
    }

    /// Whether what was read is what was recorded.
    pub(super) fn verify(&self, reader: MeteredReader<&File>) -> io::Result<()> {
        if reader.drain()?.digest.digest() == self.content.sha256.hex() {
            return Ok(());
        }
        Err(io::Error::other(format!("{} changed while it was being packed", self.path.display())))
    }
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
