//! `init`: a `micrun.yaml` to begin with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::FILE;
use super::value::VERSION;
use crate::error::{Error, Result};
use crate::names::ImageName;
use crate::pack::facts_of;
use crate::say;

/// What `init` is given.
#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The firmware or its build directory
    firmware: PathBuf,
    /// The file to write
    #[arg(short, long, value_name = "FILE", default_value = FILE)]
    file: PathBuf,
    /// The image's name [default: what the build calls the application, else the firmware's file name]
    #[arg(short, long, value_name = "NAME[:TAG]")]
    tag: Option<String>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Print the path of the file as JSON
    #[arg(long)]
    json: bool,
}

/// Writes the file. Gives the text for stdout: its path.
pub(crate) fn run(args: &InitArgs) -> Result<String> {
    let facts = facts_of(&args.firmware)?;
    let tag = match (&args.tag, facts.application) {
        (Some(tag), _) => {
            ImageName::parse(tag)?;
            tag.clone()
        }
        (None, Some(application)) => ImageName::from_stem(&application)?.short().to_owned(),
        (None, None) => {
            let stem = args.firmware.file_stem().unwrap_or_default().to_string_lossy();
            ImageName::from_stem(&stem)?.short().to_owned()
        }
    };
    let mut text = format!(
        "# What `micrun-image-builder pack` makes of this directory. docs/MICRUN_YAML.md lists the keys.\n\
         version: {VERSION}\nimages:\n  - tag: {}\n    firmware: {}\n",
        quoted(&tag),
        quoted(&args.firmware.to_string_lossy())
    );
    for (key, value) in [("os", facts.os.map(str::to_owned)), ("board", facts.board)] {
        if let Some(value) = value {
            text.extend(["    ", key, ": ", &quoted(&value), "\n"]);
        }
    }
    write(&args.file, &text, args.force)?;
    say::usual(format_args!("wrote {}: edit it, then run micrun-image-builder pack", args.file.display()));
    let path = args.file.display().to_string();
    Ok(if args.json { format!("{:#}\n", serde_json::json!({ "file": path })) } else { format!("{path}\n") })
}

fn write(path: &Path, text: &str, force: bool) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    if force {
        options.truncate(true)
    } else {
        options.create_new(true)
    };
    match options.open(path).and_then(|mut file| file.write_all(text.as_bytes())) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Err(Error::Destination {
            path: path.to_owned(),
            reason: "it is there; name another with --file, or replace it with --force",
        }),
        other => other.map_err(|source| Error::Write { path: path.to_owned(), source }),
    }
}

/// A text as YAML reads it back: a string of JSON is one of YAML, unless it needs no quotes.
fn quoted(text: &str) -> String {
    let plain = text.starts_with(|it: char| it.is_ascii_alphabetic())
        && text.chars().all(|it| it.is_ascii_alphanumeric() || "-_./".contains(it))
        && !["true", "false", "null", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
