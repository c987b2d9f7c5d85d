//! containerd: import, load and export over its socket (`docs/CONTAINERD.md`).

mod args;
mod export;
mod import;
mod labels;
mod unpack;

use std::future::Future;

pub(crate) use args::Verb;

use micrun_containerd::Error;

use crate::error::{Error as Fault, Result};

/// Does what the verb says; answers what is printed.
pub(crate) fn run(verb: &Verb) -> Result<String> {
    match verb {
        Verb::Import(args) => wait(import::run(&args.image, &args.how)),
        Verb::Load(how) => wait(import::run(&args::stdin(), how)),
        Verb::Export(args) => wait(export::run(args)),
    }
}

/// Runs one verb to its end, on this thread.
fn wait<T>(verb: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|source| Fault::EventLoop { source })?.block_on(verb)
}

/// The exit status of the program: 1 containerd is not there or ended, 5 it said no.
pub(crate) fn exit_status(error: &Error) -> u8 {
    match error {
        Error::Namespace { .. } => 2,
        Error::Layer { .. } | Error::Differs { .. } => 4,
        Error::Read { .. } | Error::Write { .. } => 1,
        error if error.is_lost() => 1,
        Error::Unreachable { .. } | Error::Refused { .. } => 5,
    }
}
