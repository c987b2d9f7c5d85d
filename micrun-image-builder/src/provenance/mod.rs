//! Who vouches for an image, and what it is made of: signatures, SBOMs and provenance, stored beside it as artifacts
//! whose subject is the image (`docs/PROVENANCE.md`).

mod artifact;
mod attach;
mod attached;
mod cosign;
mod key;
mod options;
mod sbom;
mod sign;
mod slsa;
mod spdx;
mod statement;
mod verified;

use clap::Subcommand;

pub(crate) use artifact::{Artifact, Blobs};
pub(crate) use attached::Attached;
pub(crate) use key::load as load_key;
pub(crate) use options::{AttachArgs, Package, Sbom, Switch};
pub(crate) use sbom::{
    build_id, of_build as sbom_of_build, of_facts as sbom_of_facts, of_file as sbom_of_file,
};
pub(crate) use slsa::{Provenance, artifact as slsa};
pub(crate) use spdx::{Facts, FirmwareFacts};
pub(crate) use verified::{load_keys, verify_signatures};

use crate::error::Result;

/// Whether an artifact type is that of cosign's older signatures.
#[cfg(feature = "registry")]
pub(crate) fn is_signatures(artifact_type: &str) -> bool {
    artifact_type == cosign::SIGNATURES
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Sign an image as cosign does; prints its digest
    Sign(sign::SignArgs),
    /// Print or attach the SBOM of an image
    Sbom(sbom::SbomArgs),
}

/// Does what the verb says; answers what is printed.
pub(crate) fn run(verb: &Verb) -> Result<String> {
    match verb {
        Verb::Sign(args) => sign::run(args),
        Verb::Sbom(args) => sbom::run(args),
    }
}
