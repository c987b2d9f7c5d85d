//! `inspect`: an image checked to the last byte, and what a shim will do with it.

mod files;
mod records;
mod report;
mod rootfs;
mod tree;
mod unheard;

use std::collections::BTreeMap;
use std::io::Seek;
use std::path::Path;

use micrun_firmware::annotations::PREFIX;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::rootfs::RootFile;
use micrun_firmware::{Firmware, Sha256Digest, is_firmware};
use oci_spec::image::Descriptor;

use crate::digest::{Measured, MeteredReader};
use crate::error::{Error, Result};
use crate::layers::{Budget, Layer, Packing, Stack, decoder};
use crate::names;
use crate::pack::origin_of;
use crate::provenance::Attached;
use crate::source::Source;
pub(crate) use report::Report;
use report::{AttachedLine, ElfLines, FileLine, FirmwareLine, ImageReport, LayerLine, PlatformLine};
use rootfs::View;
use tree::Content;

/// Inspects the image at `path`, as a shim sees it that is given these annotations. With `files`, lists all of them.
pub(crate) fn run(path: &Path, annotations: &BTreeMap<String, String>, files: bool) -> Result<Report> {
    of(&Source::open(path)?, path, annotations, files)
}

/// Inspects an image that was opened at `path`.
pub(crate) fn of(
    source: &Source,
    path: &Path,
    annotations: &BTreeMap<String, String>,
    files: bool,
) -> Result<Report> {
    let mut images: Vec<ImageReport> = Vec::new();
    let mut budget = Budget::for_an_image();
    let contents = tree::contents(source)?;
    let mut known: BTreeMap<Vec<String>, Applied> = BTreeMap::new();
    for content in &contents {
        let key = content.key();
        if !known.contains_key(&key) {
            known.insert(key.clone(), apply(source, content, &mut budget)?);
        }
        let applied = &known[&key];
        let mut report = inspect(source, content, applied, annotations)?;
        report.attached = attached(source, &content.digest)?;
        report.files = files.then(|| files::list(applied.stack.tree()));
        images.push(report);
    }
    let references = names::warnings(source.index()?.manifests());
    for image in &mut images {
        image.warnings.extend(references.get(&image.digest).cloned());
    }
    if images.is_empty() {
        return Err(Error::NotImage {
            path: path.to_owned(),
            reason: "its index.json lists no image".to_owned(),
        });
    }
    Ok(Report { file: path.display().to_string(), images })
}

/// What is attached to the image with this digest.
fn attached(source: &Source, image: &str) -> Result<Vec<AttachedLine>> {
    let lines = Attached::to(source, image)?.into_iter().map(|it| {
        let key = it.claims(source)?.map(|key| format!("sha256:{key}"));
        Ok(AttachedLine { what: it.what(), artifact_type: it.artifact_type(), digest: it.digest(), key })
    });
    lines.collect()
}

/// What an image holds for some of its platforms.
fn inspect(
    source: &Source,
    content: &Content,
    applied: &Applied,
    annotations: &BTreeMap<String, String>,
) -> Result<ImageReport> {
    let root = View { source, layers: &content.layers, tree: applied.stack.tree() };
    let mut report = ImageReport {
        name: content.name.clone(),
        digest: content.digest.clone(),
        platforms: content.platforms.iter().map(PlatformLine::from).collect(),
        layers: applied.lines.clone(),
        runtime: "linux",
        firmware: None,
        settings: Vec::new(),
        annotations: content.annotations.clone(),
        labels: content.labels.clone(),
        attached: Vec::new(),
        warnings: applied.warnings.clone(),
        files: None,
    };
    if !content.has_command {
        report
            .warnings
            .push("the image has no command; Kubernetes refuses it unless the pod gives one".to_owned());
    }
    if is_firmware(&root, annotations) {
        describe(&mut report, &root, annotations)?;
    } else {
        report.warnings.push(format!(
            "no /client.conf in the rootfs: a shim starts an ordinary container, unless the runtime passes an \
             annotation {PREFIX}*"
        ));
    }
    Ok(report)
}

/// Layers that are checked and applied.
struct Applied {
    stack: Stack,
    lines: Vec<LayerLine>,
    warnings: Vec<String>,
}

/// Lays the layers one over the other, checking blobs, diff ids and records.
fn apply(source: &Source, content: &Content, budget: &mut Budget) -> Result<Applied> {
    let mut stack = Stack::default();
    let (mut lines, mut warnings) = (Vec::new(), Vec::new());
    for (number, (descriptor, diff_id)) in content.layers.iter().zip(&content.diff_ids).enumerate() {
        let (layer, diff) = read(source, number, descriptor, budget)?;
        if diff.digest.digest() != diff_id.trim_start_matches("sha256:") {
            return Err(Error::Damaged(format!(
                "layer {} unpacks to sha256:{}, but the config says {diff_id}",
                descriptor.digest(),
                diff.digest.digest()
            )));
        }
        let changes = stack.push(layer);
        let view = View { source, layers: &content.layers, tree: stack.tree() };
        let record = records::check(&view, descriptor, &changes)?;
        match &record {
            None => warnings.push(format!("layer {} has no modification record", descriptor.digest())),
            Some(record) if !record.anchored => warnings.push(format!(
                "layer {} has the record {}, but its descriptor does not name it: a tool has dropped the \
                 annotation, and nothing but the layer vouches for the record",
                descriptor.digest(),
                record.path
            )),
            Some(_) => {}
        }
        lines.push(line(descriptor, diff_id, record));
    }
    Ok(Applied { stack, lines, warnings })
}

/// Reads a layer and checks its blob. What its tar is, compressed or not, comes with it.
fn read(
    source: &Source,
    number: usize,
    descriptor: &Descriptor,
    budget: &mut Budget,
) -> Result<(Layer, Measured)> {
    let packing = Packing::of(&descriptor.media_type().to_string());
    let mut blob = source.blob(descriptor)?;
    let layer = decoder(packing, &mut blob).and_then(|tar| {
        let mut tar = MeteredReader::new(tar);
        let layer = Layer::read(number, &mut tar, budget)?;
        Ok((layer, tar.drain()?))
    });
    if layer.as_ref().is_err_and(|e| e.raw_os_error().is_some()) {
        return layer.map_err(|e| source.unreadable(e));
    }
    // A changed byte may also be what the reader stumbled over: the digest is the better answer.
    blob.verify()?;
    layer.map_err(|e| Error::Damaged(format!("layer {}: {e}", descriptor.digest())))
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

/// What a shim finds in the unpacked rootfs. Its refusal is an error here.
fn describe(report: &mut ImageReport, root: &View<'_>, annotations: &BTreeMap<String, String>) -> Result<()> {
    let firmware = Firmware::resolve(root, annotations)?;
    report.runtime = "firmware";
    report.settings = firmware.settings.rows();
    report.warnings.extend(firmware.warnings.iter().cloned());
    report.warnings.extend(ContainerPolicy::default_objection(&firmware.settings, &firmware.elf));
    report.warnings.extend(unheard::warnings(report, root, annotations));
    let FileLine { path, size, sha256 } = match &firmware.delta {
        Some(_) => of_delta(&firmware)?,
        None => file_line(&firmware.file)?,
    };
    report.firmware = Some(FirmwareLine {
        path,
        size,
        sha256,
        made_from: origin_of(&firmware.file.file),
        elf: ElfLines::from(&firmware.elf),
        pedestal_file: firmware.pedestal_file.as_ref().map(file_line).transpose()?,
    });
    Ok(())
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
