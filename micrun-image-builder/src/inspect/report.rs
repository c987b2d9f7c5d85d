//! The report, as JSON (`docs/IMAGE_BUILDER.md`, "Report") and as text.

use std::collections::BTreeMap;
use std::fmt;

use micrun_firmware::elf::{ElfInfo, Segment};
use micrun_firmware::settings::Row;
use serde::Serialize;

use super::beside::Beside;
use super::files::FileEntry;
use super::tree::Listed;
use crate::provenance::Attached;
use crate::text::printable;

/// What an image holds, for people and for programs.
#[derive(Serialize)]
pub(crate) struct Report {
    pub(super) file: String,
    pub(super) images: Vec<ImageReport>,
    /// What is listed, too, and is not looked at.
    pub(super) beside: Vec<Beside>,
}

#[derive(Serialize)]
pub(super) struct ImageReport {
    pub(super) name: Option<String>,
    pub(super) digest: String,
    pub(super) platforms: Vec<PlatformLine>,
    pub(super) layers: Vec<LayerLine>,
    #[serde(flatten)]
    pub(super) run: Run,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) attached: Vec<AttachedLine>,
    pub(super) warnings: Vec<String>,
    /// With `--files`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) files: Option<Vec<FileEntry>>,
}

/// What a shim makes of an image.
#[derive(Clone, Serialize)]
pub(super) struct Run {
    /// Which of the image's boards this is about, if it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) board: Option<String>,
    /// `firmware` or `linux`.
    pub(super) runtime: &'static str,
    pub(super) firmware: Option<FirmwareLine>,
    pub(super) settings: Vec<Row>,
    /// They are among those of the image.
    #[serde(skip)]
    pub(super) warnings: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct PlatformLine {
    platform: String,
    manifest: String,
    config: String,
}

#[derive(Clone, Serialize)]
pub(super) struct LayerLine {
    pub(super) digest: String,
    pub(super) size: u64,
    pub(super) media_type: String,
    pub(super) diff_id: String,
    pub(super) record: Option<RecordLine>,
}

#[derive(Clone, Serialize)]
pub(super) struct RecordLine {
    pub(super) digest: String,
    pub(super) path: String,
    /// How many files it lists.
    pub(super) files: usize,
    /// A record that does not fit its layer is an error, so this is always true.
    pub(super) verified: bool,
    /// Whether the layer's descriptor has its digest, too.
    pub(super) anchored: bool,
}

/// A signature, an SBOM or the like. Nobody has checked it.
#[derive(Serialize)]
pub(super) struct AttachedLine {
    pub(super) what: String,
    pub(super) artifact_type: String,
    pub(super) digest: String,
    /// The fingerprint of the key that it says it is of.
    pub(super) key: Option<String>,
}

#[derive(Clone, Serialize)]
pub(super) struct FirmwareLine {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    /// What the ELF was made of, if it was: a format and a digest.
    pub(super) made_from: Option<String>,
    pub(super) elf: ElfLines,
    /// What the pedestal reads beside it.
    pub(super) pedestal_file: Option<FileLine>,
}

#[derive(Clone, Serialize)]
pub(super) struct FileLine {
    pub(super) path: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

#[derive(Clone, Serialize)]
pub(super) struct ElfLines {
    class: String,
    endian: String,
    machine: String,
    /// As close as the file says it; null for one that no pedestal has.
    processor: Option<String>,
    entry: String,
    segments: Vec<SegmentLine>,
    resource_table: bool,
    exit_record: Option<String>,
}

#[derive(Clone, Serialize)]
struct SegmentLine {
    paddr: String,
    vaddr: String,
    filesz: u64,
    memsz: u64,
    flags: String,
}

impl AttachedLine {
    pub(super) fn of(artifact: &Attached) -> Self {
        Self {
            what: artifact.what(),
            artifact_type: artifact.artifact_type(),
            digest: artifact.digest(),
            key: artifact.claims().map(|key| format!("sha256:{key}")),
        }
    }
}

impl From<&Listed> for PlatformLine {
    fn from(listed: &Listed) -> Self {
        Self {
            platform: listed.host.to_string(),
            manifest: listed.manifest.clone(),
            config: listed.config.clone(),
        }
    }
}

impl From<&ElfInfo> for ElfLines {
    fn from(info: &ElfInfo) -> Self {
        Self {
            class: info.class.to_string(),
            endian: info.endian.to_string(),
            machine: info.machine.to_string(),
            processor: info.processor.as_ref().map(ToString::to_string),
            entry: format!("{:#x}", info.entry),
            segments: info.segments.iter().map(SegmentLine::from).collect(),
            resource_table: info.has_resource_table,
            exit_record: info.exit_record.map(|address| format!("{address:#x}")),
        }
    }
}

impl From<&Segment> for SegmentLine {
    fn from(segment: &Segment) -> Self {
        let flag = |bit: u32, letter: char| if segment.flags & bit == 0 { '-' } else { letter };
        Self {
            paddr: format!("{:#x}", segment.paddr),
            vaddr: format!("{:#x}", segment.vaddr),
            filesz: segment.filesz,
            memsz: segment.memsz,
            flags: [flag(4, 'r'), flag(2, 'w'), flag(1, 'x')].iter().collect(),
        }
    }
}

impl Report {
    pub(crate) fn to_json(&self) -> String {
        #[expect(clippy::expect_used, reason = "strings, numbers and maps with string keys")]
        let text = serde_json::to_string_pretty(self).expect("serialisable");
        text + "\n"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.iter().try_for_each(|image| image.fmt(f))?;
        self.beside.iter().try_for_each(|it| line(f, format_args!("{it}")))
    }
}

impl fmt::Display for ImageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let platforms: Vec<_> = self.platforms.iter().map(|it| it.platform.as_str()).collect();
        line(f, format_args!("{}", self.name.as_deref().unwrap_or("(an image without a name)")))?;
        line(f, format_args!("  digest     {}", self.digest))?;
        line(f, format_args!("  platforms  {}", platforms.join(", ")))?;
        for layer in &self.layers {
            line(
                f,
                format_args!("  layer      {}, {} bytes, {}", layer.digest, layer.size, layer.media_type),
            )?;
            if let Some(record) = &layer.record {
                line(
                    f,
                    format_args!(
                        "             fits its {}record {}, {} files",
                        if record.anchored { "" } else { "unanchored " },
                        record.path,
                        record.files
                    ),
                )?;
            }
        }
        if let Some(board) = &self.run.board {
            line(f, format_args!("  board      {board}"))?;
        }
        match &self.run.firmware {
            Some(firmware) => firmware.fmt(f)?,
            None => line(f, format_args!("  runs as    an ordinary Linux container"))?,
        }
        for (title, row) in std::iter::once("settings").chain(std::iter::repeat("")).zip(&self.run.settings) {
            line(f, format_args!("  {title:<9}  {:<29} {:<19} ({})", row.key, row.text(), row.origin))?;
        }
        let files = self.files.iter().flatten();
        for (title, file) in std::iter::once("files").chain(std::iter::repeat("")).zip(files) {
            line(f, format_args!("  {title:<9}  {file}"))?;
        }
        for AttachedLine { what, digest, key, .. } in &self.attached {
            let key = key.as_ref().map(|key| format!(", says it is by the key {key}")).unwrap_or_default();
            line(f, format_args!("  attached   {what} {digest}{key}"))?;
        }
        self.warnings.iter().try_for_each(|warning| line(f, format_args!("  warning    {warning}")))
    }
}

impl fmt::Display for FirmwareLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elf = &self.elf;
        line(f, format_args!("  firmware   {}, {} bytes, {}", self.path, self.size, self.sha256))?;
        if let Some(origin) = &self.made_from {
            line(f, format_args!("             made from {origin}"))?;
        }
        let processor = elf.processor.as_ref().unwrap_or(&elf.machine);
        line(
            f,
            format_args!("             {} {} for {processor}, entry {}", elf.class, elf.endian, elf.entry),
        )?;
        for segment in &elf.segments {
            let SegmentLine { paddr, filesz, memsz, flags, .. } = segment;
            line(
                f,
                format_args!("             loads {filesz} bytes at {paddr}, {memsz} in memory, {flags}"),
            )?;
        }
        if elf.resource_table {
            line(f, format_args!("             has a resource table"))?;
        }
        match &elf.exit_record {
            Some(address) => line(f, format_args!("             leaves its exit status at {address}"))?,
            None => line(f, format_args!("             leaves no exit status: a power-off is status 0"))?,
        }
        match &self.pedestal_file {
            Some(file) => {
                line(f, format_args!("  beside it  {}, {} bytes, {}", file.path, file.size, file.sha256))
            }
            None => Ok(()),
        }
    }
}

/// Writes a line. What the image says in it neither ends it nor tells the terminal anything.
fn line(f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(f, "{}", printable(&text.to_string()))
}
