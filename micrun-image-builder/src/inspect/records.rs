//! A layer compared with its modification record.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use micrun_firmware::annotations::LAYER_RECORD;
use micrun_firmware::elf::{self, ElfInfo, Requirements};
use micrun_firmware::record::{self, Change, Content, ElfContent, LayerRecord};
use micrun_firmware::rootfs::{self, RootFile};
use micrun_firmware::{Error as FirmwareError, Sha256Digest};
use oci_spec::image::Descriptor;

use super::report::RecordLine;
use super::rootfs::{Applied, FileFacts};
use crate::error::{Error, Result};

/// The files of the layers so far, by path, for what the next record says was there before.
#[derive(Default)]
pub(super) struct Records {
    files: BTreeMap<String, Sha256Digest>,
}

impl Records {
    /// Checks a layer that has just been unpacked. `None` if its descriptor names no record.
    pub(super) fn check(
        &mut self,
        root: &Path,
        descriptor: &Descriptor,
        applied: &Applied,
    ) -> Result<Option<RecordLine>> {
        let named = descriptor.annotations().as_ref().and_then(|it| it.get(LAYER_RECORD));
        let line = match named {
            Some(digest) => Some(self.compare(root, descriptor, applied, digest)?),
            None => None,
        };
        for path in &applied.deleted {
            // A deleted directory takes what is below it along.
            self.files.retain(|file, _| !Path::new(file).starts_with(format!("/{path}")));
        }
        for (path, facts) in &applied.files {
            self.files.insert(format!("/{path}"), digest(facts));
        }
        Ok(line)
    }

    fn compare(
        &self,
        root: &Path,
        descriptor: &Descriptor,
        applied: &Applied,
        expected: &str,
    ) -> Result<RecordLine> {
        let wrong = |e: FirmwareError| Error::Damaged(format!("layer {}: {e}", descriptor.digest()));
        let differ = |what: String| Error::Damaged(format!("layer {}: {what}", descriptor.digest()));
        let expected: Sha256Digest = expected.parse().map_err(wrong)?;
        let Some((own, facts)) =
            applied.files.iter().find(|(path, facts)| is_record(path) && digest(facts) == expected)
        else {
            return Err(differ(format!(
                "it has no record with the digest {expected} that its descriptor names"
            )));
        };
        if facts.content.size > record::MAX_SIZE {
            return Err(differ(format!("its record has {} bytes", facts.content.size)));
        }
        let RootFile { file, host_path: path, .. } =
            rootfs::open(root, own, record::MAX_SIZE, "the record of the layer").map_err(wrong)?;
        let mut bytes = Vec::new();
        file.take(record::MAX_SIZE).read_to_end(&mut bytes).map_err(|source| Error::Read { path, source })?;
        let record = LayerRecord::parse_verified(&bytes, expected).map_err(wrong)?;
        for (path, change) in record.files() {
            let key = path.trim_start_matches('/');
            if change.before() != self.files.get(path).copied() {
                return Err(differ(format!("the file {path} below it is not the one that its record names")));
            }
            let present = match change {
                Change::Add(_) | Change::Replace { .. } => applied.files.contains_key(key),
                Change::Delete { .. } => applied.deleted.iter().any(|it| it == key),
            };
            if !present {
                return Err(differ(format!(
                    "its record lists a change of {path} that the layer does not make"
                )));
            }
        }
        for (path, facts) in applied.files.iter().filter(|(path, _)| *path != own) {
            let path = format!("/{path}");
            let recorded = record.files().find(|it| it.0 == path).and_then(|it| it.1.after());
            let actual =
                content(root, &path, facts, recorded.is_some_and(|it| it.elf.is_some())).map_err(wrong)?;
            record.verify(&path, &actual).map_err(wrong)?;
        }
        if let Some(path) = applied.links.iter().chain(&applied.skipped).next() {
            return Err(differ(format!("it has {path}, which a record cannot list")));
        }
        for path in applied.deleted.iter().map(|path| format!("/{path}")) {
            if !record.files().any(|(it, change)| it == path && matches!(change, Change::Delete { .. })) {
                return Err(differ(format!("it deletes {path}, but its record does not say so")));
            }
        }
        Ok(RecordLine {
            digest: expected.to_string(),
            path: format!("/{own}"),
            files: record.files().count(),
            verified: true,
        })
    }
}

/// Whether a path of a layer is a record's.
fn is_record(path: &str) -> bool {
    Path::new("/").join(path).starts_with(record::DIRECTORY)
}

fn digest(facts: &FileFacts) -> Sha256Digest {
    #[expect(clippy::expect_used, reason = "64 hex digits by its type")]
    facts.content.digest.digest().parse().expect("a digest")
}

/// A file as a record describes it; its segments too, if the record has them.
fn content(root: &Path, path: &str, facts: &FileFacts, with_elf: bool) -> Result<Content, FirmwareError> {
    let mut content =
        Content { mode: facts.mode, sha256: digest(facts), size: facts.content.size, elf: None };
    if with_elf {
        let mut file =
            micrun_firmware::rootfs::open(root, path, u64::MAX, "listed in the layer's record")?.file;
        let info = ElfInfo::from_reader(&file).map_err(|e| e.in_file(path))?;
        elf::check(&info, &Requirements::default()).map_err(|e| e.in_file(path))?;
        content.elf = Some(ElfContent::read(&mut file, &info).map_err(|e| e.in_file(path))?);
    }
    Ok(content)
}
