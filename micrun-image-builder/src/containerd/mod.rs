//! containerd: import, load and export over its socket (`docs/CONTAINERD.md`).
//!
//! Content and images are written by themselves, with every release of containerd since 1.6, and not by its transfer
//! service: that came later, and does not say which blob was at fault.

mod api;
mod args;
mod client;
mod content;
mod error;
mod export;
mod import;
mod labels;
mod unpack;

use std::future::Future;

pub(crate) use args::Verb;
pub(crate) use error::Error;

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
    let runtime = runtime.map_err(|source| Fault::from(Error::Runtime { source }))?;
    runtime.block_on(verb)
}
