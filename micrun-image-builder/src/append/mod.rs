//! `append`: an image with one more layer.

mod edits;
mod firmware;
mod report;
mod snapshot;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use micrun_firmware::{Firmware, is_firmware};

use crate::base::{self, Base};
use crate::cli::key_value;
use crate::error::{Error, Result};
use crate::layer::Compression;
use crate::names::ImageName;
use crate::say;
use crate::source::Source;
use crate::timestamp::Timestamp;
use crate::view::View;
use edits::Edits;
use firmware::How;
use report::Report;

#[derive(Args, Debug)]
pub(crate) struct AppendArgs {
    /// The image to build upon: an archive, a layout directory, or - for an archive on the standard input
    base: PathBuf,
    /// Which image it is, if there are several
    #[arg(long, value_name = "NAME[:TAG]")]
    image: Option<String>,
    /// The firmware that takes the place of the image's
    #[arg(long, value_name = "FILE")]
    firmware: Option<PathBuf>,
    /// The board whose firmware it takes the place of, if the image has one for each of several
    #[arg(long, value_name = "NAME", requires = "firmware")]
    board: Option<String>,
    /// Store of the firmware only what the image does not have; needs a shim that knows deltas
    #[arg(long, requires = "firmware")]
    delta: bool,
    /// Give the firmware a second path, so that deltas can be appended later; kept if the old one had one
    #[arg(long, requires = "firmware", conflicts_with = "delta")]
    updatable: bool,
    /// The state of a machine that ran the image, by `mica checkpoint`: containers of the new image go on from it
    #[arg(long, value_name = "FILE", conflicts_with = "firmware")]
    state: Option<PathBuf>,
    /// A file of the image, new or in place of the old one
    #[arg(long = "add", value_name = "FILE=PATH", value_parser = key_value)]
    add: Vec<(String, String)>,
    /// A file that the image has no more
    #[arg(long = "delete", value_name = "PATH")]
    delete: Vec<String>,
    /// The new image's name
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: String,
    /// An archive FILE.tar[.gz|.zst|.xz], a directory for an image layout, or - for an archive on the standard output [default: the layout that BASE is, else <name>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    pub(crate) output: Option<PathBuf>,
    /// How the layer is compressed
    #[arg(long, value_enum, default_value_t = Compression::Gzip)]
    compression: Compression,
    /// Print what was written as JSON
    #[arg(long)]
    json: bool,
}

/// Appends, says on stderr what was written, and gives the text for stdout: the digest of what the tag names, or JSON.
pub(crate) fn run(args: &AppendArgs) -> Result<String> {
    let created = Timestamp::from_env()?;
    let name = ImageName::parse(&args.tag)?;
    let output = args.output.clone().unwrap_or_else(|| base::default_output(&args.base, &name));
    let source = Source::open(&args.base)?;
    let base = Base::read(&source, &args.base, args.image.as_deref())?;
    let number = u32::try_from(base.layers().len()).unwrap_or(u32::MAX);
    let mut edits = Edits::new(base.view());
    let mut notes = Vec::new();
    let board = args.board.as_deref();
    for (file, path) in &args.add {
        edits.add_file(path, Path::new(file))?;
    }
    args.delete.iter().try_for_each(|path| edits.delete(path))?;
    let made = match &args.firmware {
        Some(path) => {
            let how = How { as_delta: args.delta, updatable: args.updatable, board };
            Some(firmware::replace(path, how, number, &mut edits, &mut notes)?)
        }
        None => None,
    };
    if let Some(path) = &args.state {
        snapshot::add(path, &mut edits)?;
    }
    let changed = edits.changed()?;
    let missing = write::directories(&edits, &changed, number);
    let stack = edits::applied(base.stack.clone(), &changed, base.layers().len());
    let own: Vec<_> = changed.iter().map(|it| it.after.as_ref().map(|(file, ..)| file)).collect();
    let firmware = resolved(&View { tree: stack.tree(), own: &own, ..base.view() }, made.as_ref(), board)?;
    let record = edits::record(&changed, made.as_ref())?;
    if changed.is_empty() {
        notes.push("nothing changes, so the image has no further layer".to_owned());
    }
    let written = write::image(&write::Update {
        base: &base,
        name: &name,
        output: &output,
        changed: &changed,
        missing: &missing,
        record: &record,
        number,
        firmware: firmware.as_ref(),
        digest: made.as_ref().map(|it| it.content.sha256),
        compression: args.compression,
        created,
    })?;
    for note in &notes {
        say::usual(format_args!("note: {note}"));
    }
    let report = Report::new(&name, &output, &record, made.as_ref(), &written);
    say::usual(&report);
    let text = if args.json { report.to_json(&notes) } else { format!("{}\n", report.digest()) };
    Ok(say::beside(&output, text))
}

/// What a shim makes of the new image. Its refusal is an error here.
fn resolved(root: &View<'_>, made: Option<&firmware::Made>, board: Option<&str>) -> Result<Option<Firmware>> {
    let no_annotations = BTreeMap::new();
    if !is_firmware(root, &no_annotations) {
        return Ok(None);
    }
    if made.is_none() && !Firmware::boards(root)?.is_empty() {
        // None of them changes.
        return Ok(None);
    }
    let firmware = firmware::resolve(root, board)?;
    let Some(made) = made else { return Ok(Some(firmware)) };
    let copy = tempfile::tempfile().map_err(|source| Error::Write { path: std::env::temp_dir(), source })?;
    let digest = firmware.copy_to(&copy)?;
    if digest == made.content.sha256 {
        return Ok(Some(firmware));
    }
    Err(Error::Refused {
        path: made.given.clone(),
        reason: format!("the image would run {digest} instead of it; look at ClientPath in its client.conf"),
    })
}
