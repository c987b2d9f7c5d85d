//! Who vouches for an image, and what it is made of: signatures, SBOMs and provenance, stored beside it as artifacts
//! whose subject is the image (`docs/PROVENANCE.md`).

mod artifact;
mod attach;
mod attached;
mod cosign;
mod key;
mod sign;
mod statement;
mod verify;

use std::path::Path;

use clap::Subcommand;

pub(crate) use attached::Attached;
pub(crate) use key::load as load_key;

use crate::error::Result;
use crate::sink;

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sign an image as cosign does; prints its digest
    Sign(sign::SignArgs),
    /// Check who has signed an image; prints its digest
    Verify(verify::VerifyArgs),
}

/// Does what the verb says; answers what is printed.
pub(crate) fn run(verb: &Verb) -> Result<String> {
    match verb {
        Verb::Sign(args) => sign::run(args),
        Verb::Verify(args) => verify::run(args),
    }
}

/// The text for stdout, unless an image goes there.
fn beside(output: &Path, text: String) -> String {
    if output == sink::STDOUT {
        eprint!("{text}");
        return String::new();
    }
    text
}
