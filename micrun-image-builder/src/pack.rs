//! `pack`: firmware in, image out.

mod attached;
mod boards;
mod build;
mod conf;
mod contents;
mod core;
mod extra;
mod firmware;
mod input;
mod labels;
mod machine;
mod mode;
mod part;
mod pedestal_file;
mod report;
mod system;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::cli::{InputArgs, PackArgs};
use crate::error::{Error, Result};
use crate::image::Image;
use crate::names::ImageName;
use crate::platform::Host;
use crate::timestamp::Timestamp;
use crate::{say, sink, spool};
use attached::{Attachments, Packed};
pub(crate) use boards::run as run_boards;
use contents::{Contents, Written};
pub(crate) use extra::ExtraFile;
use firmware::Firmware;
pub(crate) use input::{Arch, BuildFacts, Input, open as open_input, origin_of};
pub(crate) use mode::Mode;
use part::Part;
use report::Report;

/// The firmware's place in the image.
pub(crate) const FIRMWARE: &str = "firmware.elf";
/// More than any file that a firmware of the greatest size comes in.
const MAX_STDIN: u64 = 4 << 30;

/// Packs, says on stderr what was written, and gives the text for stdout: the digest of what the tag names, or JSON.
/// Nothing for stdout if the image itself goes there.
pub(crate) fn run(mut args: PackArgs) -> Result<String> {
    let created = Timestamp::from_env()?;
    let stem = stem(&args.firmware);
    if is_stdin(&args.firmware) {
        args.firmware = spool::STDIN.into();
        spool::stdin(MAX_STDIN)?;
    }
    let args = &args;
    // Never called after something that a build says of itself: that could be the name of another file here.
    let output = args.output.clone().unwrap_or_else(|| PathBuf::from(format!("{stem}.tar")));
    differ(&output, &args.firmware)?;
    let firmware = Firmware::open(args)?;
    let stem = firmware.facts.application.clone().unwrap_or(stem);
    let name = match &args.tag {
        Some(tag) => ImageName::parse(tag)?,
        None => ImageName::from_stem(&stem)?,
    };
    // Whoever names the image gets the same one from a file of any name.
    let title = if args.tag.is_some() { name.short().to_owned() } else { stem };
    let part = Part::prepare(args, &title, firmware)?;
    let mut contents = Contents::default();
    part.add_to(&mut contents, "")?;
    let notes = part.notes().cloned().collect();
    let (facts, hosts) = (labels::facts(&part), part.hosts());
    let parts = vec![Packed { args, board: None, part }];
    let packing = Packing { args, output, name: &name, title: &title, facts, notes, parts, created };
    packing.write(contents, hosts)
}

/// An image whose firmware is ready.
struct Packing<'a> {
    args: &'a PackArgs,
    output: PathBuf,
    name: &'a ImageName,
    title: &'a str,
    /// What labels and annotations say of the firmware.
    facts: BTreeMap<String, String>,
    /// What the user should know.
    notes: Vec<String>,
    /// The firmware; one for each board, if there are several.
    parts: Vec<Packed<'a>>,
    created: Timestamp,
}

impl Packing<'_> {
    /// Writes the image of these files, for `hosts` unless the options say others.
    fn write(self, mut contents: Contents, hosts: Vec<Host>) -> Result<String> {
        let Self { args, output, name, title, facts, notes, parts, created } = self;
        let hosts = if args.platforms.is_empty() { once_each(hosts) } else { asked(&args.platforms)? };
        args.files.iter().try_for_each(|file| file.add_to(&mut contents))?;
        let mut sink = sink::create(&output, created.seconds())?;
        let write = |source| Error::Write { path: output.clone(), source };
        sink.begin().map_err(write)?;
        let compression = args.compression.unwrap_or_default();
        let Written { layer, record } = contents.write(sink.as_mut(), &output, compression, created)?;
        sink.end(&layer.blob).map_err(write)?;
        sink::say_written(&layer.blob);
        let image = Image {
            name,
            title,
            hosts: &hosts,
            cmd: vec![format!("/{FIRMWARE}")],
            labels: labels::labels(args, &facts),
            annotations: labels::annotations(args, &facts),
            layer: &layer,
            compression,
            record: record.to_string(),
            created,
        };
        let mut stored = image.store(sink.as_mut()).map_err(write)?;
        let digest = stored.entry.digest().to_string();
        let attachments = Attachments { args, name, title, digest: &digest, parts: &parts, created };
        attachments.store(&mut stored, sink.as_mut(), &output)?;
        let report = Report::new(&output, name, &hosts, &stored, &layer, compression);
        sink.commit(stored)?;
        for note in &notes {
            say::usual(format_args!("note: {note}"));
        }
        say::usual(&report);
        let result = if args.json { report.to_json(&notes) } else { format!("{}\n", report.digest()) };
        Ok(say::beside(&output, result))
    }
}

/// The file's name without its extension: the default of every other name.
fn stem(firmware: &Path) -> String {
    if is_stdin(firmware) {
        return "firmware".to_owned();
    }
    firmware.file_stem().map_or_else(|| "firmware".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn is_stdin(firmware: &Path) -> bool {
    firmware == "-" || firmware == spool::STDIN
}

/// Refuses a destination that is the firmware itself.
fn differ(output: &Path, firmware: &Path) -> Result<()> {
    let identity = |path: &Path| fs::metadata(path).ok().map(|it| (it.dev(), it.ino()));
    match identity(output) {
        Some(found) if Some(found) == identity(firmware) => Err(Error::Destination {
            path: output.to_owned(),
            reason: "it is the firmware itself; name another with --output",
        }),
        _ => Ok(()),
    }
}

/// The hosts that the options name.
fn asked(platforms: &[Host]) -> Result<Vec<Host>> {
    for (at, host) in platforms.iter().enumerate() {
        if platforms[..at].contains(host) {
            return Err(Error::Argument {
                what: "platform",
                value: host.to_string(),
                reason: "it is given twice".to_owned(),
            });
        }
    }
    Ok(platforms.to_vec())
}

fn once_each(hosts: Vec<Host>) -> Vec<Host> {
    let mut known = Vec::new();
    for host in hosts {
        if !known.contains(&host) {
            known.push(host);
        }
    }
    known
}

/// What a firmware or its build directory says of itself, beside the firmware's own bytes.
pub(crate) fn facts_of(path: &Path) -> Result<BuildFacts> {
    Ok(input::open(path, &InputArgs::default())?.facts)
}
