//! A firmware that takes the place of the image's, whole or as a delta.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use micrun_firmware::changes::{Changes, Image};
use micrun_firmware::client_conf::FILE_NAME as CONF;
use micrun_firmware::delta::{self, Header, Identity, Target};
use micrun_firmware::record::Content;
use micrun_firmware::rootfs::{Rootfs, boards};
use micrun_firmware::{Error as FirmwareError, Firmware, Sha256Digest, signature};

use super::edits::{Edits, temporary, write_error};
use crate::cli::InputArgs;
use crate::error::{Error, Result};
use crate::layer::FILE_MODE;
use crate::layers::{Kind, Node};
use crate::pack::{Input, open_input};
use crate::view::View;

const HASH: &str = "container.firmware_hash";

/// The new firmware.
pub(super) struct Made {
    /// The file that was given.
    pub(super) given: PathBuf,
    /// Its place in the image, where a delta may stand for it, without a leading `/`.
    pub(super) place: String,
    pub(super) is_delta: bool,
    /// What a record says of the whole firmware.
    pub(super) content: Content,
}

/// How the new firmware is stored.
#[derive(Clone, Copy)]
pub(super) struct How<'a> {
    pub(super) as_delta: bool,
    pub(super) updatable: bool,
    /// Which of the image's boards it is for, if the image has several.
    pub(super) board: Option<&'a str>,
}

/// Puts the firmware at `path` into the image, where the layer `number` is made.
pub(super) fn replace(
    path: &Path,
    how: How<'_>,
    number: u32,
    edits: &mut Edits<'_>,
    notes: &mut Vec<String>,
) -> Result<Made> {
    let as_delta = how.as_delta;
    let named = |error: FirmwareError| error.in_file(&path.display().to_string());
    let base = resolve(&edits.root, how.board)?;
    let root = how.board.map(boards::directory).unwrap_or_default();
    let in_root = |path: &str| in_image(Path::new(&format!("{root}{path}")));
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
    let place = in_image(&base.file.path);
    if content.sha256 != before {
        let kept = second_path(&edits.root, &in_root(delta::DIRECTORY), &place);
        if as_delta {
            let Some(kept) = kept else { return Err(not_updatable(path)) };
            let kept = format!("{}/{kept}", delta::DIRECTORY);
            let target = Target { path: kept, sha256: before, size: base.elf.file_size };
            let result = Identity { sha256: content.sha256, size: content.size };
            edits.put_twice([&in_root(&delta::path(number)), &place], make(&old, &file, target, result)?)?;
        } else if kept.is_some() || how.updatable {
            edits.put_twice([&in_root(&delta::base_path(number)), &place], file)?;
        } else {
            edits.put(&place, file)?;
        }
        conf(&base, &in_root(&format!("/{CONF}")), as_delta, content.sha256, edits)?;
        if edits.root.has(&in_root(signature::PATH)) {
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

/// Says the firmware's digest in client.conf if it said the old one's. With a delta always: then no reader takes the
/// base for the firmware, whoever names it.
fn conf(
    base: &Firmware,
    path: &str,
    is_delta: bool,
    digest: Sha256Digest,
    edits: &mut Edits<'_>,
) -> Result<()> {
    let Some(old) = &base.conf else { return Ok(()) };
    if !is_delta && !old.micrun.contains_key(HASH) {
        return Ok(());
    }
    let mut conf = old.clone();
    conf.micrun.insert(HASH.to_owned(), digest.to_string());
    edits.put_bytes(path, conf.to_ini()?.as_bytes())
}

/// The firmware of an image, or that for one of its boards.
pub(super) fn resolve(root: &View<'_>, board: Option<&str>) -> Result<Firmware> {
    let boards = Firmware::boards(root)?;
    let refuse = |reason| {
        let value = board.unwrap_or_default().to_owned();
        Err(Error::Argument { what: "board", value, reason })
    };
    let none = BTreeMap::new();
    match board {
        None if boards.is_empty() => Ok(Firmware::resolve(root, &none)?),
        None => refuse(format!("say with --board whose firmware is replaced: {}", boards.join(", "))),
        Some(_) if boards.is_empty() => refuse("the image has one firmware, for whatever board".to_owned()),
        Some(name) if boards.iter().any(|it| it == name) => Ok(Firmware::resolve_board(name, root, &none)?),
        Some(_) => refuse(format!("the image has firmware for {}", boards.join(", "))),
    }
}

/// What the file of the firmware at `place` is called in the directory of deltas, so that it stays there when a delta
/// takes its place.
fn second_path(root: &View<'_>, directory: &str, place: &str) -> Option<String> {
    let own = root.tree.get(place.as_bytes())?;
    let is_same = |node: &Node| match (&own.kind, &node.kind) {
        (Kind::File(own), Kind::File(other)) => own.sha256 == other.sha256,
        _ => false,
    };
    let files = root.tree.list(directory.as_bytes()).filter(|(_, node)| is_same(node));
    files.filter_map(|(name, _)| std::str::from_utf8(name).ok()).last().map(str::to_owned)
}

/// A path without a leading `/`, as records and tars have it.
fn in_image(path: &Path) -> String {
    path.to_string_lossy().trim_start_matches('/').to_owned()
}

fn not_updatable(path: &Path) -> Error {
    Error::Refused {
        path: path.to_owned(),
        reason:
            "the image was not made for deltas; pack it with --updatable, or append the whole firmware with \
                 --updatable once"
                .to_owned(),
    }
}
