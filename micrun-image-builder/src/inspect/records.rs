//! A layer compared with its modification record.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::File;
use std::io::Read;

use micrun_firmware::annotations::LAYER_RECORD;
use micrun_firmware::changes::{Changes, Image};
use micrun_firmware::elf::{self, ElfInfo, Requirements};
use micrun_firmware::record::{self, Content, ElfContent, LayerRecord};
use micrun_firmware::{Error as FirmwareError, Sha256Digest, delta};
use oci_spec::image::Descriptor;

use super::report::RecordLine;
use crate::checked;
use crate::error::{Error, Result};
use crate::layers::{self, Change, Kind, Node};
use crate::view::View;

/// A layer's record, which fits it.
pub(crate) struct Recorded {
    pub(crate) record: LayerRecord,
    pub(crate) digest: Sha256Digest,
    /// Where it is in the image.
    pub(crate) path: String,
    /// Whether the layer's descriptor has its digest, too.
    pub(crate) anchored: bool,
}

/// Compares the layer `number` with its record. `None` if it has no record.
///
/// Many tools drop annotations of descriptors. Then the record is found by its path, and nothing but the layer vouches
/// for it: it is not anchored.
pub(crate) fn check(
    view: &View<'_>,
    number: usize,
    descriptor: &Descriptor,
    changes: &[Change],
) -> Result<Option<Recorded>> {
    let differ = |what: String| Error::Damaged(format!("layer {}: {what}", descriptor.digest()));
    let wrong = |e: FirmwareError| differ(e.to_string());
    let named = descriptor.annotations().as_ref().and_then(|it| it.get(LAYER_RECORD));
    let expected: Option<Sha256Digest> = named.map(|it| it.parse()).transpose().map_err(wrong)?;
    let records: Vec<_> = changes.iter().filter(|it| is_record(&it.path)).collect();
    let found = records.iter().find_map(|change| {
        let content = file(change.after.as_ref())?.1;
        expected.is_none_or(|it| it == content.sha256).then_some((change, content))
    });
    let Some((own, content)) = found else {
        let Some(expected) = expected else { return Ok(None) };
        return Err(differ(format!("it has no record with the digest {expected} that its descriptor names")));
    };
    if content.size > record::MAX_SIZE {
        return Err(differ(format!("its record has {} bytes", content.size)));
    }
    let mut bytes = Vec::new();
    let read = view.content(content).and_then(|file| file.take(record::MAX_SIZE).read_to_end(&mut bytes));
    read.map_err(|error| checked::fault(view.source, descriptor, error))?;
    let record = LayerRecord::parse_verified(&bytes, content.sha256).map_err(wrong)?;
    let others = changes.iter().filter(|it| it.path != own.path);
    let others: Vec<_> = others.collect();
    let elves = elves(view, number, &record, &others).map_err(|error| match error {
        FirmwareError::Io { source, .. } => checked::fault(view.source, descriptor, source),
        other => wrong(other),
    })?;
    compare(&record, &others, &elves, descriptor)?;
    compare_ranges(view, &record, &others, descriptor)?;
    let path = format!("/{}", String::from_utf8_lossy(&own.path));
    Ok(Some(Recorded { record, digest: content.sha256, path, anchored: expected.is_some() }))
}

impl From<&Recorded> for RecordLine {
    fn from(found: &Recorded) -> Self {
        Self {
            digest: found.digest.to_string(),
            path: found.path.clone(),
            files: found.record.files().count(),
            verified: true,
            anchored: found.anchored,
        }
    }
}

/// What the ELFs of a layer load, by their paths.
type Elves<'a> = BTreeMap<&'a [u8], ElfContent>;

/// Reads those that the record knows, all in one pass.
fn elves<'a>(
    view: &View<'_>,
    number: usize,
    record: &LayerRecord,
    changes: &[&'a Change],
) -> Result<Elves<'a>, FirmwareError> {
    let recorded: HashSet<_> = record
        .files()
        .filter_map(|(path, change)| Some((path, change.after().filter(|it| it.elf.is_some())?)))
        .map(|(path, content)| (path.trim_start_matches('/').as_bytes(), content.sha256))
        .collect();
    let mut paths: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    for change in changes {
        if let Some((_, content)) = file(change.after.as_ref())
            && recorded.contains(&(change.path.as_slice(), content.sha256))
        {
            paths.entry(content.place.entry).or_default().push(&change.path);
        }
    }
    let mut elves = Elves::new();
    let mut refusal = None;
    let wanted = paths.keys().copied().collect();
    let read = view.contents(number, &wanted, |entry, file| {
        let Some(paths) = paths.get(&entry).filter(|_| refusal.is_none()) else { return Ok(()) };
        match segments(file) {
            Ok(elf) => elves.extend(paths.iter().map(|path| (*path, elf.clone()))),
            Err(error) => {
                let path = paths.first().map(|it| String::from_utf8_lossy(it)).unwrap_or_default();
                refusal = Some(error.in_file(&format!("/{path}")));
            }
        }
        Ok(())
    });
    let io = |source| FirmwareError::Io { action: "read", path: "the layer".to_owned(), source };
    read.map_err(io)?;
    refusal.map_or(Ok(elves), Err)
}

fn compare(
    record: &LayerRecord,
    changes: &[&Change],
    elves: &Elves<'_>,
    descriptor: &Descriptor,
) -> Result<()> {
    let differ = |what: String| Error::Damaged(format!("layer {}: {what}", descriptor.digest()));
    let wrong = |e: FirmwareError| differ(e.to_string());
    let made: BTreeMap<&[u8], &Change> = changes.iter().map(|it| (it.path.as_slice(), *it)).collect();
    let mut listed = BTreeSet::new();
    for (path, recorded) in record.files() {
        listed.insert(path.trim_start_matches('/').as_bytes());
        let Some(change) = made.get(path.trim_start_matches('/').as_bytes()) else {
            return Err(differ(format!(
                "its record lists a change of {path:?} that the layer does not make"
            )));
        };
        let before = file(change.before.as_ref()).map(|(_, content)| content.sha256);
        if recorded.before() != before {
            return Err(differ(format!("the file {path:?} below it is not the one that its record names")));
        }
        if recorded.after().is_some() != file(change.after.as_ref()).is_some() {
            return Err(differ(format!("its record says otherwise of {path:?} than the layer does")));
        }
    }
    for change in changes {
        let path = format!("/{}", String::from_utf8_lossy(&change.path));
        match file(change.after.as_ref()) {
            // Links, devices and pipes are not listed.
            None if file(change.before.as_ref()).is_none() => {}
            None if !listed.contains(change.path.as_slice()) => {
                let shown = layers::quoted(path.as_bytes());
                return Err(differ(format!("it removes {shown}, but its record does not say so")));
            }
            None => {}
            Some((meta, content)) => {
                let actual = Content {
                    mode: meta.mode,
                    sha256: content.sha256,
                    size: content.size,
                    elf: elves.get(change.path.as_slice()).cloned(),
                    changes: None,
                };
                record.verify(&path, &actual).map_err(wrong)?;
            }
        }
    }
    Ok(())
}

/// Compares the ranges of memory that a new firmware changes with the two firmwares, unless one is a delta: that names
/// what it stands upon, and what it gives, itself.
fn compare_ranges(
    view: &View<'_>,
    record: &LayerRecord,
    changes: &[&Change],
    descriptor: &Descriptor,
) -> Result<()> {
    for change in changes {
        let path = format!("/{}", String::from_utf8_lossy(&change.path));
        let recorded = record.files().find(|(name, _)| *name == path).and_then(|(_, it)| it.after());
        let Some(ranges) = recorded.and_then(|it| it.changes.as_ref()) else { continue };
        let (Some((_, before)), Some((_, after))) =
            (file(change.before.as_ref()), file(change.after.as_ref()))
        else {
            continue;
        };
        let open = |content| view.content(content).map_err(|e| checked::fault(view.source, descriptor, e));
        let (before, after) = (open(before)?, open(after)?);
        let is_delta = |file| delta::is_delta(file).map_err(|e| checked::fault(view.source, descriptor, e));
        if is_delta(&before)? || is_delta(&after)? {
            continue;
        }
        let found = Image::elf(&before)
            .and_then(|mut before| Changes::between(&mut before, &mut Image::elf(&after)?))
            .map(|it| it.ranges);
        if found.as_ref().ok() != Some(ranges) {
            let shown = layers::quoted(path.as_bytes());
            return Err(Error::Damaged(format!(
                "layer {}: {shown} does not change the ranges of memory that its record names, or not from what it says",
                descriptor.digest()
            )));
        }
    }
    Ok(())
}

/// Whether a path of a layer is a record's.
pub(crate) fn is_record(path: &[u8]) -> bool {
    let directory = record::DIRECTORY.trim_start_matches('/').as_bytes();
    path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

fn file(node: Option<&Node>) -> Option<(&layers::Meta, &layers::Content)> {
    match node {
        Some(Node { kind: Kind::File(content), meta }) => Some((meta, content)),
        _ => None,
    }
}

/// What an ELF of the layer loads.
pub(crate) fn segments(mut file: File) -> Result<ElfContent, FirmwareError> {
    let info = ElfInfo::from_reader(&file)?;
    elf::check(&info, &Requirements::default())?;
    ElfContent::read(&mut file, &info)
}
