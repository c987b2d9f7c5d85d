//! `micrun.yaml`: images described in a file instead of on the command line (`docs/MICRUN_YAML.md`).

mod file;
mod init;
mod merge;
mod value;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::{pack, sink};
use file::{File, Image};
pub(crate) use init::{InitArgs, run as init};

/// The file that `pack` reads when it is given no firmware.
pub(crate) const FILE: &str = "micrun.yaml";

/// What `pack` is given: a firmware, or a file that describes images.
#[derive(Args, Debug)]
pub(crate) struct PackCommand {
    /// The firmware: an ELF, Intel HEX, UF2 or raw binary, a zip archive or build directory that holds an ELF; - for the standard input [default: what micrun.yaml says]
    pub(crate) firmware: Option<PathBuf>,
    /// A file that describes the images [default: micrun.yaml]
    #[arg(short, long, value_name = "FILE", conflicts_with = "firmware")]
    pub(crate) file: Option<PathBuf>,
    /// Pack only the image of this name in the file; repeat it for several
    #[arg(long = "only", value_name = "NAME", conflicts_with = "firmware")]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) options: PackArgs,
}

/// Packs what the command line or the file asks for. Gives the text for stdout.
pub(crate) fn run(command: PackCommand) -> Result<String> {
    let PackCommand { firmware, file, only, options } = command;
    if let Some(firmware) = firmware {
        return pack::run(PackArgs { firmware, ..options });
    }
    let path = file.unwrap_or_else(|| PathBuf::from(FILE));
    let images = chosen(&path, &only, &options)?;
    let mut printed = Vec::new();
    let directory = path.parent().unwrap_or(Path::new(""));
    for Image { line, described, .. } in images {
        let place = format!("{}:{line}", path.display());
        let boards = merge::boards(&options, &described, directory);
        let args = merge::into(&options, described, directory);
        let packed = if boards.is_empty() { pack::run(args) } else { pack::run_boards(&args, &boards) };
        printed.push(packed.map_err(|source| Error::At { place, source: Box::new(source) })?);
    }
    Ok(printed.concat())
}

/// The images of the file that were asked for.
fn chosen(path: &Path, only: &[String], options: &PackArgs) -> Result<Vec<Image>> {
    let file = File::read(path)?;
    let images = file.chosen(path, only)?;
    if let [_, second, ..] = &images[..] {
        let archive = options.output.as_deref().filter(|it| !sink::is_layout(it));
        let single = [
            ("tag", options.tag.clone()),
            ("output", archive.map(|it| it.display().to_string())),
            ("name", options.name.clone()),
        ];
        if let Some((what, Some(value))) = single.into_iter().find(|(_, value)| value.is_some()) {
            let reason = format!(
                "it is for one image, and the file has several (another begins in line {}); choose one with --only",
                second.line
            );
            return Err(Error::Argument { what, value, reason });
        }
    }
    Ok(images)
}
