//! `records`: what each layer of an image says that it changes.

mod make;
mod rebuild;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use micrun_firmware::record::{Change, LayerRecord};
use serde_json::{Value, json};

use crate::base::Base;
use crate::error::Result;
use crate::inspect::{self, Recorded};
use crate::names::ImageName;
use crate::source::Source;
use crate::text::{self, printable};
use crate::timestamp::Timestamp;
use crate::{base, say, sink};
pub(crate) use make::insert;

#[derive(Args, Debug)]
pub(crate) struct RecordsArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// Write the image with a record in each layer that has none
    #[arg(long, requires = "tag")]
    rebuild: bool,
    /// The new image's name
    #[arg(short, long, value_name = "NAME[:TAG]", requires = "rebuild")]
    tag: Option<String>,
    /// An archive FILE.tar[.gz|.zst|.xz], a directory for an image layout, or - for an archive on the standard output [default: the layout that IMAGE is, else <name>.tar]
    #[arg(short, long, value_name = "FILE.tar|DIR|-", requires = "rebuild")]
    output: Option<PathBuf>,
    /// Print the records as JSON
    #[arg(long)]
    json: bool,
}

/// Gives the text for stdout: the records, or the digest of the new image.
pub(crate) fn run(args: &RecordsArgs) -> Result<String> {
    let source = Source::open(&args.image)?;
    let base = Base::read(&source, &args.image, args.name.as_deref())?;
    let view = base.view();
    let layers = base.layers().iter().zip(&base.changes).enumerate();
    let records: Vec<_> = layers
        .map(|(number, (descriptor, changes))| inspect::checked_record(&view, number, descriptor, changes))
        .collect::<Result<_>>()?;
    let Some(tag) = &args.tag else {
        return Ok(if args.json { to_json(&base, &records) } else { text(&base, &records) });
    };
    let created = Timestamp::from_env()?;
    let name = ImageName::parse(tag)?;
    let output = args.output.clone().unwrap_or_else(|| base::default_output(&args.image, &name));
    let (digest, made) = rebuild::run(&base, &args.image, &records, &name, &output, created)?;
    let plural = if made == 1 { "" } else { "s" };
    say::usual(format_args!(
        "wrote {} to {}: a new record in {made} layer{plural}",
        name.full(),
        sink::shown(&output)
    ));
    let text = if args.json {
        format!("{:#}\n", json!({ "name": name.full(), "digest": digest, "output": output, "made": made }))
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(&output, text))
}

fn to_json(base: &Base<'_>, records: &[Option<Recorded>]) -> String {
    let layers = base.layers().iter().zip(records).map(|(descriptor, found)| {
        let record = found.as_ref().map(|it| {
            json!({ "path": it.path, "digest": it.digest, "anchored": it.anchored, "content": it.record })
        });
        json!({ "digest": descriptor.digest().to_string(), "record": record })
    });
    let layers: Vec<Value> = layers.collect();
    let (name, digest) = (base.name(), base.entry.digest().to_string());
    format!("{:#}\n", json!({ "name": name, "digest": digest, "layers": layers }))
}

fn text(base: &Base<'_>, records: &[Option<Recorded>]) -> String {
    let mut text = String::new();
    for (descriptor, found) in base.layers().iter().zip(records) {
        let _ = writeln!(text, "layer {}", descriptor.digest());
        match found {
            None => text.push_str("  has no record\n"),
            Some(found) => {
                let loose = if found.anchored { "" } else { ", which its descriptor does not name" };
                let _ = writeln!(text, "  {}{loose}", printable(&found.path));
                files(&found.record, &mut text);
            }
        }
    }
    text
}

fn files(record: &LayerRecord, out: &mut String) {
    for (path, change) in record.files() {
        let op = match change {
            Change::Add(_) => "add",
            Change::Replace { .. } => "replace",
            Change::Delete { .. } => "delete",
        };
        let _ = write!(out, "  {op:<7}  {}", printable(path));
        if let Some(content) = change.after() {
            let _ = write!(out, "  {} bytes, {}", content.size, content.sha256);
            if let Some(elf) = &content.elf {
                let _ = write!(out, ", firmware for {}", printable(&elf.machine));
            }
        }
        out.push('\n');
        for range in change.after().and_then(|it| it.changes.as_deref()).unwrap_or_default() {
            let _ = writeln!(out, "           changes {} at {}", text::bytes(range.size), range.paddr);
        }
    }
}
