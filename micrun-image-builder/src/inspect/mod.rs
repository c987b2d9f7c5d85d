//! `inspect`: an image checked to the last byte, and what a shim will do with it.

mod beside;
mod files;
mod records;
mod report;
mod tree;
mod unheard;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::io::Seek;
use std::path::Path;

use micrun_firmware::annotations::PREFIX;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::rootfs::RootFile;
use micrun_firmware::{Error as FirmwareError, Firmware, Sha256Digest, is_firmware};
use oci_spec::image::Descriptor;

use crate::checked;
use crate::error::{Error, Result};
use crate::layers::{Budget, Stack};
use crate::names;
use crate::pack::origin_of;
use crate::platform::Host;
use crate::provenance::Attached;
use crate::source::Source;
use crate::view::View;
pub(crate) use records::{Recorded, check as checked_record, is_record, segments as elf_content};
pub(crate) use report::Report;
use report::{AttachedLine, ElfLines, FileLine, FirmwareLine, ImageReport, LayerLine, PlatformLine, Run};
use tree::{Content, Key};

/// What is looked at: nothing named is everything.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// An image, by its name.
    pub(crate) image: Option<&'a str>,
    /// The host that it must be complete for.
    pub(crate) platform: Option<&'a Host>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn of(self, entries: &'a [Descriptor]) -> Result<Vec<&'a Descriptor>> {
        let Some(name) = self.image else { return Ok(entries.iter().collect()) };
        let found: Vec<_> = entries.iter().filter(|it| names::is_called(it, name)).collect();
        if found.is_empty() {
            let all: Vec<_> = entries.iter().filter_map(names::of).collect();
            return Err(Error::Argument {
                what: "image name",
                value: name.to_owned(),
                reason: format!("there is none of that name, but: {}", all.join(", ")),
            });
        }
        Ok(found)
    }
}

/// Inspects the image at `path`, as a shim sees it that is given these annotations. With `files`, lists all of them.
pub(crate) fn run(
    path: &Path,
    wanted: Wanted<'_>,
    annotations: &BTreeMap<String, String>,
    files: bool,
) -> Result<Report> {
    of(&Source::open(path)?, path, wanted, annotations, files)
}

/// Inspects an image that was opened at `path`.
pub(crate) fn of(
    source: &Source,
    path: &Path,
    wanted: Wanted<'_>,
    annotations: &BTreeMap<String, String>,
    files: bool,
) -> Result<Report> {
    let mut inspection = Inspection::new(source, annotations);
    let mut report = Report { file: path.display().to_string(), images: Vec::new(), beside: Vec::new() };
    for entry in tree::entries(source, wanted, &mut inspection.budget)? {
        for content in &entry.contents {
            report.images.extend(inspection.image(content, files)?);
        }
        report.beside.extend(entry.beside);
    }
    if report.images.is_empty() {
        let reason = match report.beside.first() {
            Some(it) => {
                format!("{} is an artifact of the type {}, and there is no image", it.digest, it.reason)
            }
            None => "its index.json lists nothing".to_owned(),
        };
        return Err(Error::NotImage { path: path.to_owned(), reason });
    }
    let references = names::warnings(source.index()?.manifests());
    let attached = Attached::all(source, &mut inspection.budget)?;
    let mut shown = HashSet::new();
    for image in &mut report.images {
        image.warnings.extend(references.get(&image.digest).cloned());
        for artifact in attached.get(&image.digest).into_iter().flatten() {
            shown.insert(artifact.digest());
            image.attached.push(AttachedLine::of(artifact));
        }
    }
    report.beside.retain(|it| !shown.contains(&it.digest));
    Ok(report)
}

/// What is doubtful about each image, by its name or digest; the error of one that is not in order.
pub(crate) fn doubts(source: &Source, wanted: Wanted<'_>) -> Result<Vec<(String, Result<Vec<String>>)>> {
    let annotations = BTreeMap::new();
    let mut inspection = Inspection::new(source, &annotations);
    let entries = tree::entries(source, wanted, &mut inspection.budget)?;
    let references = names::warnings(source.index()?.manifests());
    let mut doubts = Vec::new();
    for content in entries.iter().flat_map(|it| &it.contents) {
        let name = content.name.clone().unwrap_or_else(|| content.digest.clone());
        let reports = inspection.image(content, false);
        let warnings = reports.map(|reports| {
            let of_name = references.get(&content.digest).cloned();
            let mut all: Vec<_> = reports.into_iter().flat_map(|it| it.warnings).chain(of_name).collect();
            all.sort();
            all.dedup();
            all
        });
        doubts.push((name, warnings));
    }
    Ok(doubts)
}

/// What is found out once and holds for many images of a layout.
struct Inspection<'a> {
    source: &'a Source,
    annotations: &'a BTreeMap<String, String>,
    budget: Budget,
    for_files: RefCell<Budget>,
    applied: BTreeMap<Key, Applied>,
    runs: BTreeMap<(Key, Said), Vec<Run>>,
}

/// The annotations and labels of an image.
type Said = BTreeMap<String, String>;

impl<'a> Inspection<'a> {
    fn new(source: &'a Source, annotations: &'a BTreeMap<String, String>) -> Self {
        Self {
            source,
            annotations,
            budget: Budget::for_an_image(),
            for_files: RefCell::new(Budget::for_files()),
            applied: BTreeMap::new(),
            runs: BTreeMap::new(),
        }
    }

    /// What an image holds for some of its platforms; once for each of its boards, if it has several.
    fn image(&mut self, content: &Content, files: bool) -> Result<Vec<ImageReport>> {
        let key = content.key();
        if !self.applied.contains_key(&key) {
            let applied = self.apply(content)?;
            self.applied.insert(key.clone(), applied);
        }
        let applied = &self.applied[&key];
        let mut said = content.labels.clone();
        said.extend(content.annotations.clone());
        said.retain(|key, _| key.starts_with(PREFIX));
        let runs = match self.runs.get(&(key.clone(), said.clone())) {
            Some(runs) => runs.clone(),
            None => self.runs(content, applied, &said)?,
        };
        self.runs.entry((key, said)).or_insert_with(|| runs.clone());
        Ok(runs.into_iter().map(|run| report(content, applied, run, files)).collect())
    }

    fn view<'b>(&'b self, content: &'b Content, stack: &'b Stack) -> View<'b> {
        View {
            source: self.source,
            layers: &content.layers,
            tree: stack.tree(),
            own: &[],
            budget: &self.for_files,
        }
    }

    /// What a shim makes of an image that says this in its labels and annotations, on each board that it has.
    fn runs(&self, content: &Content, applied: &Applied, said: &Said) -> Result<Vec<Run>> {
        let root = self.view(content, &applied.stack);
        if is_firmware(&root, self.annotations) {
            let boards = Firmware::boards(&root)?;
            let run = |board| firmware(&root, board, self.annotations, said);
            return if boards.is_empty() {
                Ok(vec![run(None)?])
            } else {
                boards.into_iter().map(Some).map(run).collect()
            };
        }
        Ok(vec![Run {
            board: None,
            runtime: "linux",
            firmware: None,
            settings: Vec::new(),
            warnings: vec![format!(
                "no /client.conf in the rootfs: a shim starts an ordinary container, unless the runtime passes an \
                 annotation {PREFIX}*"
            )],
        }])
    }

    /// Lays the layers one over the other, checking blobs, diff ids and records.
    fn apply(&mut self, content: &Content) -> Result<Applied> {
        let mut applied = Applied { stack: Stack::default(), lines: Vec::new(), warnings: Vec::new() };
        for (number, (descriptor, diff_id)) in content.layers.iter().zip(&content.diff_ids).enumerate() {
            let layer = checked::layer(self.source, number, descriptor, diff_id, &mut self.budget)?;
            let changes = applied.stack.push(layer, &mut self.budget);
            let changes = changes.map_err(|error| checked::fault(self.source, descriptor, error))?;
            let record = records::check(&self.view(content, &applied.stack), number, descriptor, &changes)?;
            let missing = match &record {
                None => Some("has no modification record".to_owned()),
                Some(record) if !record.anchored => Some(format!(
                    "has the record {}, but its descriptor does not name it: a tool has dropped the annotation, and \
                     nothing but the layer vouches for the record",
                    record.path
                )),
                Some(_) => None,
            };
            applied.warnings.extend(missing.map(|it| format!("layer {} {it}", descriptor.digest())));
            let record = record.as_ref().map(report::RecordLine::from);
            applied.lines.push(line(descriptor, diff_id, record));
        }
        Ok(applied)
    }
}

/// Layers that are checked and applied.
struct Applied {
    stack: Stack,
    lines: Vec<LayerLine>,
    warnings: Vec<String>,
}

/// One of the reports about an image.
fn report(content: &Content, applied: &Applied, run: Run, files: bool) -> ImageReport {
    let mut warnings = applied.warnings.clone();
    warnings.extend(run.warnings.clone());
    if !content.has_command {
        warnings.push("the image has no command; Kubernetes refuses it unless the pod gives one".to_owned());
    }
    ImageReport {
        name: content.name.clone(),
        digest: content.digest.clone(),
        platforms: content.platforms.iter().map(PlatformLine::from).collect(),
        layers: applied.lines.clone(),
        run,
        annotations: content.annotations.clone(),
        labels: content.labels.clone(),
        attached: Vec::new(),
        warnings,
        files: files.then(|| files::list(applied.stack.tree())),
    }
}

fn line(descriptor: &Descriptor, diff_id: &str, record: Option<report::RecordLine>) -> LayerLine {
    LayerLine {
        digest: descriptor.digest().to_string(),
        size: descriptor.size(),
        media_type: descriptor.media_type().to_string(),
        diff_id: diff_id.to_owned(),
        record,
    }
}

/// What a shim finds in the root file system. Its refusal is an error here.
fn firmware(
    root: &View<'_>,
    board: Option<String>,
    annotations: &BTreeMap<String, String>,
    said: &Said,
) -> Result<Run> {
    let firmware = resolve(board.as_deref(), root, annotations)?;
    let settings = firmware.settings.rows();
    let mut warnings = firmware.warnings.clone();
    warnings.extend(ContainerPolicy::default_objection(&firmware.settings, &firmware.elf));
    warnings.extend(unheard::warnings(&settings, said, root, board.as_deref(), annotations));
    let FileLine { path, size, sha256 } = match &firmware.delta {
        Some(_) => of_delta(&firmware)?,
        None => file_line(&firmware.file)?,
    };
    let line = FirmwareLine {
        path,
        size,
        sha256,
        made_from: origin_of(&firmware.file.file),
        elf: ElfLines::from(&firmware.elf),
        pedestal_file: firmware.pedestal_file.as_ref().map(file_line).transpose()?,
    };
    Ok(Run { board, runtime: "firmware", firmware: Some(line), settings, warnings })
}

/// The firmware of an image, or that for one of its boards.
fn resolve(
    board: Option<&str>,
    root: &View<'_>,
    annotations: &BTreeMap<String, String>,
) -> Result<Firmware, FirmwareError> {
    match board {
        Some(board) => Firmware::resolve_board(board, root, annotations),
        None => Firmware::resolve(root, annotations),
    }
}

/// The firmware that a delta gives, put together as a shim does.
fn of_delta(firmware: &Firmware) -> Result<FileLine> {
    let copy = tempfile::tempfile().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let sha256 = firmware.copy_to(&copy)?.to_string();
    let path = firmware.file.path.display().to_string();
    Ok(FileLine { path, size: firmware.elf.file_size, sha256 })
}

fn file_line(file: &RootFile) -> Result<FileLine> {
    let mut content = &file.file;
    let digest = content
        .rewind()
        .and_then(|()| Sha256Digest::read(&mut content))
        .map_err(|source| Error::Read { path: file.host_path.clone(), source })?;
    Ok(FileLine { path: file.path.display().to_string(), size: file.size, sha256: digest.to_string() })
}
