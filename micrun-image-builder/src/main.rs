//! micrun-image-builder: packs RTOS firmware into OCI images and tells what an image will do.
//!
//! Results go to stdout, everything else to stderr (`docs/IMAGE_BUILDER.md`).

mod append;
mod base;
mod checked;
mod checksum;
mod cli;
mod compressed;
#[cfg(feature = "containerd")]
mod containerd;
mod delta;
mod diff;
mod digest;
mod error;
mod flatten;
mod graph;
mod gzip;
mod image;
mod image_path;
mod index;
mod inspect;
mod interrupt;
mod json;
mod layer;
mod layers;
mod located;
mod names;
mod old_options;
mod pack;
mod platform;
mod provenance;
mod records;
#[cfg(feature = "registry")]
mod registry;
mod rewrite;
mod say;
mod sink;
mod source;
mod spool;
mod text;
mod timestamp;
mod unpack;
mod verify;
mod view;
mod whole;
mod yaml;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};

fn main() -> ExitCode {
    interrupt::watch();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return misused(&error),
    };
    say::set(cli.verbosity.level());
    let Err(error) = run(cli.command) else { return ExitCode::SUCCESS };
    say::error(error.with_causes());
    ExitCode::from(error.exit_status())
}

/// Says what is wrong with the command line, or prints the help or the version that it asks for.
fn misused(error: &clap::Error) -> ExitCode {
    // Nobody is left to be told if this fails.
    let _ = error.print();
    if error.use_stderr() {
        let arguments: Vec<_> = env::args_os().collect();
        for hint in old_options::hints(arguments.iter().map(OsString::as_os_str)) {
            eprintln!("note: {hint}");
        }
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Pack(args) => print(&yaml::run(*args)?),
        Command::Append(args) => print(&append::run(&args)?),
        Command::Diff(args) => print(&diff::run(&args)?),
        Command::Flatten(args) => print(&flatten::run(&args)?),
        Command::Records(args) => print(&records::run(&args)?),
        Command::Unpack(args) => print(&unpack::run(&args)?),
        Command::Verify(args) => verify::run(&args).and_then(|(text, worst)| print(&text).and(worst)),
        Command::Index(args) => print(&index::run(&args)?),
        Command::Init(args) => print(&yaml::init(&args)?),
        Command::Inspect(args) => {
            let wanted = inspect::Wanted { image: args.image.as_deref(), platform: args.platform.as_ref() };
            let annotations = args.annotations.into_iter().collect();
            let report = inspect::run(&args.path, wanted, &annotations, args.files)?;
            print(&if args.json { report.to_json() } else { report.to_string() })
        }
        Command::Provenance(verb) => print(&provenance::run(&verb)?),
        #[cfg(feature = "containerd")]
        Command::Containerd(verb) => print(&containerd::run(&verb)?),
        #[cfg(feature = "registry")]
        Command::Registry(verb) => print(&registry::run(verb)?),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), env!("CARGO_PKG_NAME"), &mut script);
            print(&String::from_utf8_lossy(&script))
        }
        Command::Man { directory } => {
            man(&directory).map_err(|source| Error::Write { path: directory, source })
        }
    }
}

fn man(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)
}

/// Writes the result. A reader that has gone away, as in `... | head -1`, is not an error.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::Write { path: "the standard output".into(), source: e })
        }
        _ => Ok(()),
    }
}
