//! The provenance of an image: which files it was packed of, how, and by whom (<https://slsa.dev/spec/v1.0/provenance>).

use micrun_firmware::Sha256Digest;
use micrun_firmware::signature::PrivateKey;
use serde_json::{Map, Value, json};

use super::artifact::Artifact;
use super::cosign;
use super::statement::Statement;
use crate::json;

const PREDICATE: &str = "https://slsa.dev/provenance/v1";
const BUILD: &str = "https://openeuler.org/micrun/pack/v1";
/// A statement that nobody has signed.
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The annotation that says what an artifact states (in-toto's own).
pub(super) const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";

/// How an image came to be.
pub(crate) struct Provenance<'a> {
    /// The image's full name.
    pub(crate) name: &'a str,
    /// `sha256:...` of what the name stands for.
    pub(crate) digest: &'a str,
    /// A URI that stands for whoever packs.
    pub(crate) builder: &'a str,
    /// The options that were given.
    pub(crate) parameters: Map<String, Value>,
    /// The files that were given: what each was for, and its digest.
    pub(crate) materials: Vec<(String, Sha256Digest)>,
}

/// The provenance as an artifact, signed if there is a key. It has no times: the same input gives the same bytes.
pub(crate) fn artifact(provenance: &Provenance<'_>, key: Option<&PrivateKey>) -> Artifact {
    let materials: Vec<_> = provenance
        .materials
        .iter()
        .map(|(name, digest)| json!({ "name": name, "digest": { "sha256": digest.hex() } }))
        .collect();
    let predicate = json!({
        "buildDefinition": {
            "buildType": BUILD,
            "externalParameters": provenance.parameters,
            "resolvedDependencies": materials,
        },
        "runDetails": {
            "builder": {
                "id": provenance.builder,
                "version": { (env!("CARGO_PKG_NAME")): env!("CARGO_PKG_VERSION") },
            },
        },
    });
    let statement = Statement::about(Some(provenance.name), provenance.digest, PREDICATE, predicate);
    if let Some(key) = key {
        return cosign::bundle(&statement, key);
    }
    let mut artifact = Artifact::of(STATEMENT, json::canonical(&statement));
    artifact.annotations.insert(PREDICATE_TYPE, PREDICATE.to_owned());
    artifact
}
