//! `make conformance`: every case on every shim, side by side, in one table.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use shim_conformance::table::{Row, Table};
use shim_conformance::{cases, isolated};

/// Tries the rules of containerd's runtime v2 on shims, without containerd.
#[derive(Parser)]
struct Args {
    /// Only cases whose name contains one of these.
    filter: Vec<String>,
    /// How many at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Tries one case on one shim, here; for the program itself, which runs it in tests/host/isolated.
    #[arg(long, hide = true, num_args = 2, value_names = ["SUBJECT", "CASE"])]
    attempt: Option<Vec<String>>,
}

fn main() -> io::Result<ExitCode> {
    let args = Args::parse();
    if let Some([subject, case]) = args.attempt.as_deref() {
        return Ok(isolated::attempt(subject, case));
    }
    let chosen = |name: &str| args.filter.is_empty() || args.filter.iter().any(|part| name.contains(part));
    let cases: Vec<_> = cases::all().filter(|case| chosen(case.name)).collect();
    let results = isolated::run_all(&cases, args.jobs);
    let table =
        Table { rows: cases.iter().zip(results).map(|(case, results)| Row { case, results }).collect() };
    write!(io::stdout(), "{table}")?;
    Ok(if table.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
