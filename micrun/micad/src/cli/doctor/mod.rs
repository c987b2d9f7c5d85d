//! `mica doctor`: what is wrong with this machine, and what to do about it. It needs neither the daemon nor root, and says
//! of what it cannot see that it cannot see it.

mod baremetal;
mod bundle;
mod cgroups;
mod clock;
mod configuration;
mod containerd;
mod daemon;
mod docker;
mod finding;
mod host;
mod kernel;
mod leftovers;
mod limits;
mod linux;
mod permissions;
mod program;
mod qemu;
mod registration;
mod report;
mod secrets;
mod space;
mod table;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use libmica::Client;

use finding::Level;
use host::{Answers, Host};
use report::Report;

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Options {
    /// Print JSON: an array of {check, level, found, remedy}.
    #[arg(long)]
    json: bool,
    /// Also write an archive for support (.tar.gz). It holds no secrets.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Directory that stands for `/`: for tests.
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Examines the machine, and gives the status by the worst that was found.
pub(super) async fn run(
    options: &Options,
    runtime_dir: &Path,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let mut host = Host::examine(&options.root, runtime_dir);
    let client = Client::new(host.at(&host.runtime_dir));
    host.answers = Answers { version: client.version().await, list: client.list().await };
    let report = Report::of(&host);
    if options.json {
        serde_json::to_writer_pretty(&mut *out, &report.0)?;
        writeln!(out)?;
    } else {
        report.text(colours(), out)?;
    }
    if let Some(file) = &options.bundle {
        bundle::write(&host, &report, file)?;
    }
    Ok(match report.level() {
        Level::Ok | Level::Note => ExitCode::SUCCESS,
        Level::Warning => ExitCode::from(3),
        Level::Error => ExitCode::from(4),
    })
}

/// For whoever looks at a terminal and does not object (no-color.org).
fn colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
