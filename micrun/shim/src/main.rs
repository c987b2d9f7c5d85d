//! `containerd-shim-mica-v2`: runs RTOS firmware as containers, and Linux containers beside it.
//!
//! containerd starts it once per pod (`start`), which leaves a ttrpc server behind, and once more to clean up
//! after a server that died (`delete`).

mod args;
mod auto_close;
mod bootargs;
mod bundle;
mod cgroup;
mod checkpoint;
mod children;
mod choose;
mod console;
mod container;
mod containers;
mod context;
mod create;
mod delete;
mod engine;
mod error;
mod events;
mod exec;
mod exit;
mod ignored;
mod info;
mod linux;
mod logger;
mod mica;
mod mount;
mod options;
mod plan;
mod pod;
mod print_config;
mod reply;
mod resources;
mod rtos;
mod sandbox;
mod server;
mod service;
mod shell;
mod start;
mod state;
mod state_dir;
mod stdio;
mod tty;
mod update;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use args::{Action, Args};

fn main() -> ExitCode {
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
        Action::Info => info::run()?,
        Action::Version => println!("containerd-shim-mica-v2 {} ({})", env!("CARGO_PKG_VERSION"), info::NAME),
        Action::Help => print!("{}", args::USAGE),
    }
    Ok(())
}
