//! `micrun-run`: what the systemd unit of a firmware image runs that starts at boot (`MICRUN_AUTOSTART`, docs/YOCTO.md).
//!
//! It makes a container of the image, shows its console and ends as it does. It does what `ctr run` does for firmware, and
//! no more: in an emulated machine, ctr alone takes longer to start than the firmware.

mod args;
mod container;
mod error;
mod image;
mod run;
mod spec;
mod task;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use args::Args;

fn main() -> ExitCode {
    match begin(&Args::parse()) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // As the firmware's own lines, it goes to the journal.
            eprintln!("micrun-run: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin(args: &Args) -> anyhow::Result<u8> {
    if args.ended && std::env::var("SERVICE_RESULT").is_ok_and(|it| it != "timeout") {
        // Nothing is left to be ended.
        return Ok(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let status = runtime
        .block_on(async { if args.ended { run::end(&args.name).await } else { run::run(args).await } });
    Ok(status?)
}
