//! The record of a layer that somebody else made.

use std::fs::File;
use std::path::Path;

use micrun_firmware::changes::{ByteRange, Changes, Image};
use micrun_firmware::record::{Change, Content, LayerRecord};

use crate::base::Base;
use crate::error::{Error, Result};
use crate::inspect::{elf_content, is_record};
use crate::layers::{self, Kind, Node, quoted};
use crate::view::View;

/// What tells an ELF from other files.
const ELF: &[u8] = b"\x7fELF";

/// What the layer `number` of the image in a file or directory changes.
pub(super) fn of_layer(base: &Base<'_>, image: &Path, number: usize) -> Result<LayerRecord> {
    let view = base.view();
    let mut record = LayerRecord::default();
    for change in base.changes[number].iter().filter(|it| !is_record(&it.path)) {
        // Links, devices and pipes are not listed, no more than directories.
        let before = change.before.as_ref().and_then(file);
        let after = change.after.as_ref().and_then(file);
        let content = after.map(|(mode, after)| content(&view, mode, after, before)).transpose()?;
        if let Some(made) = Change::between(before.map(|it| it.1.sha256), content) {
            insert(&mut record, image, &change.path, made)?;
        }
    }
    Ok(record)
}

/// Lists the file at `path`, without a leading `/`, in the record of a layer of the image at `image`.
pub(crate) fn insert(record: &mut LayerRecord, image: &Path, path: &[u8], change: Change) -> Result<()> {
    let listed = match std::str::from_utf8(path) {
        Ok(path) => record.insert(&format!("/{path}"), change).map_err(|error| error.to_string()),
        Err(_) => Err("it is not UTF-8".to_owned()),
    };
    listed.map_err(|reason| Error::Refused {
        path: image.to_owned(),
        reason: format!("no record can list the file {}: {reason}", quoted(path)),
    })
}

/// The mode and the content of a regular file.
fn file(node: &Node) -> Option<(u32, &layers::Content)> {
    match &node.kind {
        Kind::File(content) => Some((node.meta.mode, content)),
        _ => None,
    }
}

fn content(
    view: &View<'_>,
    mode: u32,
    after: &layers::Content,
    before: Option<(u32, &layers::Content)>,
) -> Result<Content> {
    let mut content = Content { mode, sha256: after.sha256, size: after.size, elf: None, changes: None };
    let Some(new) = elf(view, after)? else { return Ok(content) };
    // An ELF that no pedestal runs is a file like others.
    content.elf = new.try_clone().ok().and_then(|file| elf_content(file).ok());
    if content.elf.is_some()
        && let Some((_, before)) = before
        && let Some(old) = elf(view, before)?
    {
        content.changes = changes(&old, &new);
    }
    Ok(content)
}

fn elf(view: &View<'_>, content: &layers::Content) -> Result<Option<File>> {
    let file =
        view.content(content).map_err(|e| Error::Damaged(format!("a file of it cannot be read: {e}")))?;
    let mut start = [0; ELF.len()];
    let is_elf = std::os::unix::fs::FileExt::read_exact_at(&file, &mut start, 0).is_ok() && start == ELF;
    Ok(is_elf.then_some(file))
}

/// The ranges that change in memory, if both are firmwares that load the same segments.
fn changes(old: &File, new: &File) -> Option<Vec<ByteRange>> {
    let (mut old, mut new) = (Image::elf(old).ok()?, Image::elf(new).ok()?);
    Changes::between(&mut old, &mut new).ok().map(|it| it.ranges)
}
