//! A firmware that takes the place of the image's, whole or as a delta.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use micrun_firmware::changes::{Changes, Image};
use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::delta::{self, Header, Identity, Target};
use micrun_firmware::record::Content;
use micrun_firmware::{ClientConf, Error as FirmwareError, Firmware, Sha256Digest, signature};

use super::edits::{Edits, temporary, write_error};
use crate::cli::InputArgs;
use crate::error::{Error, Result};
use crate::layer::FILE_MODE;
use crate::pack::{FIRMWARE, Input, open_input};

const HASH: &str = "container.firmware_hash";

/// The new firmware.
pub(super) struct Made {
    /// The file that was given.
    pub(super) given: PathBuf,
    /// Its place in the image, or that of the delta that gives it, without a leading `/`.
    pub(super) place: String,
    pub(super) is_delta: bool,
    /// What a record says of the whole firmware.
    pub(super) content: Content,
}

/// Puts the firmware at `path` into the image, where the layer `number` is made.
pub(super) fn replace(
    path: &Path,
    as_delta: bool,
    number: u32,
    edits: &mut Edits<'_>,
    notes: &mut Vec<String>,
) -> Result<Made> {
    let named = |error: FirmwareError| error.in_file(&path.display().to_string());
    let base = Firmware::resolve(edits.root, &BTreeMap::new())?;
    let old = temporary()?;
    let before = base.copy_to(&old)?;
    if !path.is_file() && !path.is_dir() {
        let source = fs::metadata(path).err().unwrap_or_else(|| std::io::ErrorKind::InvalidInput.into());
        return Err(Error::Read { path: path.to_owned(), source });
    }
    let Input { file, info, notes: of_input, .. } = open_input(path, &InputArgs::default())?;
    notes.extend(of_input);
    let mut content = Content::of_firmware(&mut &file, &info, FILE_MODE).map_err(named)?;
    content.changes = changes(&old, &file, notes)?;
    let own_place = base.file.path.to_string_lossy().trim_start_matches('/').to_owned();
    // A delta lies beside what it stands upon; a whole firmware takes the place that firmware has.
    let place = match (as_delta, &base.delta) {
        (true, _) => delta::path(number).trim_start_matches('/').to_owned(),
        (false, None) => own_place.clone(),
        (false, Some(_)) => FIRMWARE.to_owned(),
    };
    if content.sha256 != before {
        if as_delta {
            let target = Target { path: format!("/{own_place}"), sha256: before, size: base.elf.file_size };
            let result = Identity { sha256: content.sha256, size: content.size };
            edits.put(&place, make(&old, &file, target, result)?)?;
        } else {
            edits.put(&place, file)?;
        }
        conf(&base, &place, as_delta, content.sha256, edits)?;
        if edits.root.join(signature::PATH.trim_start_matches('/')).exists() {
            notes.push(
                "the image's signature is that of the old firmware; pack a signed image anew".to_owned(),
            );
        }
    }
    Ok(Made { given: path.to_owned(), place, is_delta: as_delta, content })
}

/// The ranges that change in memory, if the firmwares load the same segments.
fn changes(
    old: &File,
    new: &File,
    notes: &mut Vec<String>,
) -> Result<Option<Vec<micrun_firmware::changes::ByteRange>>> {
    match Changes::between(&mut Image::elf(old)?, &mut Image::elf(new)?) {
        Ok(changes) => {
            if let Some((before, after)) = changes.entry {
                notes.push(format!("the entry point moves from {before:#x} to {after:#x}"));
            }
            Ok(Some(changes.ranges))
        }
        Err(FirmwareError::Layout { reason }) => {
            notes.push(format!("the record names no ranges of memory: {reason}"));
            Ok(None)
        }
        Err(other) => Err(other.into()),
    }
}

/// The delta as a file.
fn make(old: &File, new: &File, base: Target, result: Identity) -> Result<File> {
    let operations = crate::delta::operations(old, new).map_err(write_error)?;
    let header = Header::new(base, operations, result)?;
    let mut file = temporary()?;
    file.write_all(&header.to_bytes()?).map_err(write_error)?;
    crate::delta::own_bytes(&header.operations, new, &mut file).map_err(write_error)?;
    Ok(file)
}

/// Names the firmware in client.conf, if it does not yet. With a delta, the digest keeps every reader from running
/// the base, which is still in the image.
fn conf(
    base: &Firmware,
    place: &str,
    is_delta: bool,
    digest: Sha256Digest,
    edits: &mut Edits<'_>,
) -> Result<()> {
    let Some(mut conf) = base.conf.clone() else {
        if is_delta {
            return Err(Error::Argument {
                what: "delta",
                value: place.to_owned(),
                reason: "the image has no client.conf that could name a delta; omit --delta".to_owned(),
            });
        }
        return Ok(());
    };
    let old: &ClientConf = &base.conf.clone().unwrap_or_default();
    let path = format!("/{place}");
    if conf.mica.client_path.as_ref().is_some_and(|it| it.trim_start_matches('/') != place) || is_delta {
        conf.mica.client_path = Some(path.clone());
    }
    if let Some(named) = conf.micrun.get_mut("container.firmware_path") {
        *named = path;
    }
    if is_delta || conf.micrun.contains_key(HASH) {
        conf.micrun.insert(HASH.to_owned(), digest.to_string());
    }
    if conf == *old {
        return Ok(());
    }
    edits.put_bytes(CONF, conf.to_ini()?.as_bytes())
}
