//! The `mica` command.

use std::process::ExitCode;

use clap::Parser;
use micad::cli::{self, Args};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(args, &mut std::io::stdout())),
        Err(e) => Err(anyhow::Error::new(e).context("cannot start the runtime")),
    };
    match result {
        Ok(status) => status,
        Err(e) => {
            eprintln!("mica: {e:#}");
            ExitCode::FAILURE
        }
    }
}
