//! `unpack`: what a container sees of an image, in a directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::base::Base;
use crate::checked::packing;
use crate::error::{Error, Result};
use crate::interrupt::Unfinished;
use crate::layers::{Budget, Entries, Kind, Place, decoder, quoted};
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
    let left_out = unpack(&base, stage.path())?;
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

/// Unpacks what a container sees into an empty directory that nobody else writes to. Gives the names of what is
/// neither a file nor a directory nor a symbolic link, and therefore left out.
///
/// Links come last: until then nothing leads out of the directory.
fn unpack(base: &Base<'_>, root: &Path) -> Result<Vec<String>> {
    let (mut files, mut links, mut left_out) = (BTreeMap::<Place, Vec<_>>::new(), Vec::new(), Vec::new());
    let mut directories = Vec::new();
    for (path, node) in base.stack.tree().walk() {
        let target = root.join(OsStr::from_bytes(&path));
        match &node.kind {
            Kind::Directory(_) => {
                fs::create_dir(&target).map_err(write_error(&target))?;
                directories.push((target, node.meta.mode));
            }
            Kind::File(content) => files.entry(content.place).or_default().push((target, node.meta.mode)),
            Kind::Symlink(to) => links.push((target, to.clone())),
            Kind::Device(..) | Kind::Fifo | Kind::Whiteout => left_out.push(quoted(&path)),
        }
    }
    copy_files(base, &files)?;
    for (path, to) in links {
        symlink(OsStr::from_bytes(&to), &path).map_err(write_error(&path))?;
    }
    // A directory that its owner cannot write to could not be filled, nor be removed.
    directories.iter().rev().try_for_each(|(path, mode)| chmod(path, mode | 0o700))?;
    Ok(left_out)
}

/// Writes each file of the layers where it is wanted.
fn copy_files(base: &Base<'_>, files: &BTreeMap<Place, Vec<(PathBuf, u32)>>) -> Result<()> {
    let mut budget = Budget::for_an_image();
    for (number, descriptor) in base.layers().iter().enumerate() {
        let mut blob = base.blob(descriptor)?;
        let tar = decoder(packing(descriptor), &mut blob).map_err(|e| base.fault(descriptor, e))?;
        let mut entries = Entries::new(tar, &mut budget);
        for entry in 0.. {
            if entries.next().map_err(|e| base.fault(descriptor, e))?.is_none() {
                break;
            }
            let Some(names) = files.get(&Place { layer: number, entry }) else { continue };
            let [(first, mode), others @ ..] = names.as_slice() else { continue };
            let mut to = File::create_new(first).map_err(write_error(first))?;
            io::copy(&mut entries, &mut to).map_err(write_error(first))?;
            chmod(first, mode & 0o777)?;
            for (name, _) in others {
                fs::hard_link(first, name).map_err(write_error(name))?;
            }
        }
    }
    Ok(())
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

fn chmod(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(write_error(path))
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
