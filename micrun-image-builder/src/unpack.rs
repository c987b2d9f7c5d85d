//! `unpack`: what a container sees of an image, in a directory.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::base::Base;
use crate::error::{Error, Result};
use crate::interrupt::Unfinished;
use crate::layers::Kind;
use crate::source::Source;
use crate::{say, sink};

#[derive(Args, Debug)]
pub(crate) struct UnpackArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// A new directory, or an empty one
    directory: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Unpacks, and gives the text for stdout: the digest of the image, or JSON.
pub(crate) fn run(args: &UnpackArgs) -> Result<String> {
    let directory = &args.directory;
    let source = Source::open(&args.image)?;
    let base = Base::read(&source, &args.image, args.name.as_deref())?;
    check_empty(directory)?;
    let write = |source| Error::Write { path: directory.clone(), source };
    let (_unfinished, mut stage) = Unfinished::create(|| {
        let permissions = Permissions::from_mode(0o777);
        let mut builder = tempfile::Builder::new();
        builder.prefix(sink::STAGE).permissions(permissions).tempdir_in(sink::parent(directory))
    })
    .map_err(write)?;
    let left_out = base.unpack(stage.path())?;
    // Onto nothing or an empty directory: what is there in the meantime stays.
    match fs::rename(stage.path(), directory) {
        Ok(()) => stage.disable_cleanup(true),
        Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => return Err(not_empty(directory)),
        Err(e) => return Err(write(e)),
    }
    for name in &left_out {
        say::usual(format_args!("note: {name} is a device or a pipe, and was left out"));
    }
    let files = base.stack.tree().walk().filter(|(_, node)| matches!(node.kind, Kind::File(_))).count();
    let plural = if files == 1 { "" } else { "s" };
    say::usual(format_args!("unpacked {files} file{plural} to {}", directory.display()));
    let digest = base.entry.digest().to_string();
    Ok(if args.json {
        let name = base.name();
        let report = json!({
            "name": name, "digest": digest, "directory": directory, "files": files, "left_out": left_out,
        });
        format!("{report:#}\n")
    } else {
        format!("{digest}\n")
    })
}

fn check_empty(directory: &Path) -> Result<()> {
    let mut files = match fs::read_dir(directory) {
        Ok(files) => files,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
        Err(e) if e.kind() == ErrorKind::NotADirectory => return Err(not_empty(directory)),
        Err(source) => return Err(Error::Read { path: directory.to_owned(), source }),
    };
    if files.next().is_none() { Ok(()) } else { Err(not_empty(directory)) }
}

fn not_empty(directory: &Path) -> Error {
    Error::Destination { path: directory.to_owned(), reason: "it is there, and is no empty directory" }
}
