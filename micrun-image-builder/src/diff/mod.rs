//! `diff`: what changes from one image to another, and what an update costs.

mod firmware;
mod pairs;
mod report;
mod symbols;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use micrun_firmware::rootfs::Rootfs;
use micrun_firmware::{client_conf, is_firmware};

use crate::base::Base;
use crate::error::Result;
use crate::inspect::is_record;
use crate::layers::Kind;
use crate::source::Source;
use firmware::Whole;
use report::{LayerLine, Report, Side, Update};

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// An image: an archive, a layout directory, or - for an archive on the standard input
    before: PathBuf,
    /// The other image [default: the same archive or layout, which then has both]
    after: Option<PathBuf>,
    /// Which image the first one is, if there are several
    #[arg(long, value_name = "NAME[:TAG]")]
    from: Option<String>,
    /// Which image the other one is, if there are several
    #[arg(long, value_name = "NAME[:TAG]")]
    to: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Gives the text for stdout: what differs.
pub(crate) fn run(args: &DiffArgs) -> Result<String> {
    let first = Source::open(&args.before)?;
    let second = args.after.as_deref().map(Source::open).transpose()?;
    let other = args.after.as_deref().unwrap_or(&args.before);
    let before = Seen::of(&first, &args.before, args.from.as_deref())?;
    let after = Seen::of(second.as_ref().unwrap_or(&first), other, args.to.as_deref())?;
    let report = compare(&before, &after)?;
    Ok(if args.json { report.to_json() } else { report.to_string() })
}

/// All that is compared of an image.
struct Seen<'a> {
    side: Side,
    base: Base<'a>,
    /// By board; without a name if there is one for all.
    firmwares: BTreeMap<String, Whole>,
}

impl<'a> Seen<'a> {
    fn of(source: &'a Source, path: &Path, name: Option<&str>) -> Result<Self> {
        let base = Base::read(source, path, name)?;
        let mut firmwares = BTreeMap::new();
        if is_firmware(&base.view(), &BTreeMap::new()) {
            for (board, firmware) in base.firmwares()? {
                firmwares.insert(board.unwrap_or_default(), Whole::of(firmware)?);
            }
        }
        let side = Side {
            file: path.display().to_string(),
            name: base.name().map(str::to_owned),
            digest: base.entry.digest().to_string(),
        };
        Ok(Self { side, base, firmwares })
    }

    /// The files of the image but records, each described.
    fn files(&self) -> BTreeMap<String, String> {
        let tree = self.base.stack.tree();
        let files = tree.walk().filter(|(path, _)| !is_record(path)).map(|(path, node)| {
            let what = match &node.kind {
                Kind::Directory(_) => "a directory".to_owned(),
                Kind::File(content) => format!("{} bytes, {}", content.size, content.sha256),
                Kind::Symlink(to) => format!("a link to {:?}", String::from_utf8_lossy(to)),
                Kind::Device(kind, major, minor) => format!("a device {kind} {major}:{minor}"),
                Kind::Fifo => "a pipe".to_owned(),
                Kind::Whiteout => "a whiteout".to_owned(),
            };
            let path = format!("/{}", String::from_utf8_lossy(&path));
            (path, format!("{what}, mode {:04o}", node.meta.mode))
        });
        files.collect()
    }

    /// The lines of client.conf, by section and key.
    fn conf(&self) -> BTreeMap<String, String> {
        let mut lines = BTreeMap::new();
        let mut text = String::new();
        let name = client_conf::FILE_NAME;
        let opened =
            self.base.view().open(name, micrun_firmware::MAX_FIRMWARE_SIZE, "the image's configuration");
        let read = opened.ok().and_then(|it| it.file.take(1 << 20).read_to_string(&mut text).ok());
        let mut section = "";
        for line in text.lines().filter(|_| read.is_some()).map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
                section = name;
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';']))
            {
                lines.insert(format!("{section}.{}", key.trim()), value.trim().to_owned());
            }
        }
        lines
    }

    /// What applies, for each board.
    fn settings(&self) -> BTreeMap<String, String> {
        let rows = self.firmwares.iter().flat_map(|(board, it)| {
            let of = if board.is_empty() { String::new() } else { format!("{board}: ") };
            let rows = it.firmware.settings.rows().into_iter();
            rows.map(move |row| (format!("{of}{}", row.key), row.text()))
        });
        rows.collect()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let config = self.base.platforms[0].config.config().as_ref();
        config.and_then(|it| it.labels().clone()).unwrap_or_default().into_iter().collect()
    }

    fn annotations(&self) -> BTreeMap<String, String> {
        self.base.platforms[0].manifest.annotations().clone().unwrap_or_default().into_iter().collect()
    }
}

fn compare(before: &Seen<'_>, after: &Seen<'_>) -> Result<Report> {
    let (old, new) = (before.base.blobs(), after.base.blobs());
    let fetched: Vec<_> = new.iter().filter(|(digest, _)| !old.contains_key(*digest)).collect();
    let mut firmwares = Vec::new();
    for (board, before) in &before.firmwares {
        if let Some(after) = after.firmwares.get(board) {
            let board = Some(board.clone()).filter(|it| !it.is_empty());
            firmwares.extend(firmware::compare(board, before, after)?);
        }
    }
    Ok(Report {
        from: before.side.clone(),
        to: after.side.clone(),
        update: Update {
            blobs: fetched.len(),
            bytes: fetched.iter().map(|it| *it.1).sum(),
            whole: new.values().sum(),
        },
        layers: layers(&before.base, &after.base),
        files: pairs::differing(&before.files(), &after.files()),
        conf: pairs::differing(&before.conf(), &after.conf()),
        settings: pairs::differing(&before.settings(), &after.settings()),
        labels: pairs::differing(&before.labels(), &after.labels()),
        annotations: pairs::differing(&before.annotations(), &after.annotations()),
        firmwares,
    })
}

/// The layers of both, those that only the first one has before the others.
fn layers(before: &Base<'_>, after: &Base<'_>) -> Vec<LayerLine> {
    let has = |base: &Base<'_>, digest: &str| base.layers().iter().any(|it| it.digest().as_ref() == digest);
    let gone = before.layers().iter().filter(|it| !has(after, it.digest().as_ref()));
    let gone = gone.map(|it| LayerLine::new("remove", it));
    let there = after
        .layers()
        .iter()
        .map(|it| LayerLine::new(if has(before, it.digest().as_ref()) { "keep" } else { "add" }, it));
    gone.chain(there).collect()
}
