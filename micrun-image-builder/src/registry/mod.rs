//! Registries: push, pull, copy, resolve, tags, login and logout (`docs/REGISTRY.md`).
//!
//! The requests are our own, on the HTTP client that oci-client is built on. oci-client cannot renew a token
//! while
//! it sends or fetches a blob, repeat what failed, go on where an answer was cut off, use mirrors, or name
//! its
//! requests. What it knows of the protocol's documents, tokens and errors is used from it.

mod args;
mod auth;
mod blob;
mod connect;
mod copy;
mod credentials;
mod error;
mod hosts;
mod login;
mod parallel;
mod progress;
mod pull;
mod push;
mod query;
mod reference;
mod referrers;
mod registries_conf;
mod repository;
mod retry;
mod transport;

pub(crate) use args::Verb;
pub(crate) use error::Error;

use args::Network;

use crate::error::Result;
use crate::say;

/// Does what the verb says; answers what is printed.
pub(crate) fn run(verb: Verb) -> Result<String> {
    match verb {
        Verb::Push(args) => prepared(&args.network, || push::run(&args)),
        Verb::Pull(args) => prepared(&args.network, || pull::run(&args)),
        Verb::Copy(args) => prepared(&args.network, || copy::run(&args)),
        Verb::Resolve(args) => prepared(&args.network, || query::resolve(&args)),
        Verb::Tags(args) => prepared(&args.network, || query::tags(&args)),
        Verb::Login(args) => prepared(&args.network, || login::login(&args)),
        Verb::Logout(args) => login::logout(&args),
    }
}

fn prepared(network: &Network, run: impl FnOnce() -> Result<String>) -> Result<String> {
    retry::set(network.retries);
    if network.http_trace {
        say::set_http();
    }
    run()
}
