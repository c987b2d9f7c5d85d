//! in-toto statements (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The type of every statement.
pub(super) const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// Something that is said about artifacts.
#[derive(Serialize, Deserialize)]
pub(super) struct Statement {
    #[serde(rename = "_type")]
    pub(super) kind: String,
    #[serde(rename = "predicateType")]
    pub(super) predicate_type: String,
    pub(super) predicate: Value,
    pub(super) subject: Vec<Subject>,
}

/// What it is about.
#[derive(Serialize, Deserialize)]
pub(super) struct Subject {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) digest: BTreeMap<String, String>,
}

impl Statement {
    /// A statement about an image. `digest` is `sha256:...`.
    pub(super) fn about(name: Option<&str>, digest: &str, predicate_type: &str, predicate: Value) -> Self {
        let digest = digest.trim_start_matches("sha256:").to_owned();
        Self {
            kind: STATEMENT.to_owned(),
            predicate_type: predicate_type.to_owned(),
            predicate,
            subject: vec![Subject {
                name: name.map(str::to_owned),
                digest: BTreeMap::from([("sha256".to_owned(), digest)]),
            }],
        }
    }

    /// Whether it is about this image.
    pub(super) fn is_about(&self, digest: &str) -> bool {
        let digest = digest.trim_start_matches("sha256:");
        self.subject.iter().any(|it| it.digest.get("sha256").is_some_and(|has| has == digest))
    }
}
