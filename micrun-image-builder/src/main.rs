//! micrun-image-builder: packs RTOS firmware into OCI images and tells what an image will do.
//!
//! Results go to stdout, everything else to stderr (`docs/IMAGE_BUILDER.md`).

mod cli;
mod compressed;
mod digest;
mod error;
mod image;
mod inspect;
mod interrupt;
mod json;
mod layer;
mod names;
mod pack;
mod platform;
mod sink;
mod source;
mod spool;
mod text;
mod timestamp;

use std::error::Error as _;
use std::fs;
use std::io::{self, Write};
use std::iter;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::{Cli, Command};
use crate::error::{Error, Result};

fn main() -> ExitCode {
    interrupt::watch();
    let Err(error) = run(Cli::parse().command) else { return ExitCode::SUCCESS };
    let causes = iter::successors(error.source(), |&cause| cause.source());
    let sentences: Vec<_> = iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect();
    eprintln!("error: {}", text::printable(&sentences.join(": ")));
    ExitCode::from(error.exit_status())
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Pack(args) => match pack::run(*args)? {
            Some(digest) => print(&format!("{digest}\n")),
            None => Ok(()),
        },
        Command::Inspect(args) => {
            let report = inspect::run(&args.image, &args.annotations.into_iter().collect())?;
            print(&if args.json { report.to_json() } else { report.to_string() })
        }
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
