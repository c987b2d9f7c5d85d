//! `containerd-shim-mica-v2`: runs RTOS firmware as containers, and Linux containers beside it.
//!
//! containerd starts it once per pod (`start`), which leaves a ttrpc server behind, and once more to clean up
//! after a server that died (`delete`).

mod cgroup;
mod entry;
mod error;
mod linux;
mod oci;
mod os;
mod rtos;
mod sandbox;
mod service;
mod stdio;
mod task;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use entry::args::{self, Action, Args};
use entry::{delete, info, print_config, server, start};

fn main() -> ExitCode {
    os::descriptors::keep_from_children();
    os::memory::share_one_arena();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let text = error::describe(&error);
            log::error!("{text}");
            eprintln!("containerd-shim-mica-v2: {text}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the version and the usage are what was asked for")]
fn run() -> error::Result<()> {
    if let Some(request) = print_config::Request::parse(std::env::args_os().skip(1))? {
        print!("{}", print_config::text(&request)?);
        return Ok(());
    }
    let args = Args::parse(std::env::args_os().skip(1))?;
    match args.action {
        Action::Serve => server::run(&args)?,
        Action::Start => start::run(&args)?,
        Action::Delete => delete::run(&args)?,
        Action::Hold => sandbox::hold()?,
        Action::Enter => sandbox::enter()?,
        Action::Userns => oci::mount::userns::run()?,
        Action::Copy => rtos::create::run_copy()?,
        Action::Info => info::run()?,
        Action::Version => println!("containerd-shim-mica-v2 {} ({})", env!("CARGO_PKG_VERSION"), info::NAME),
        Action::Help => print!("{}", args::USAGE),
    }
    Ok(())
}
