//! Signatures of images as cosign makes and reads them.
//!
//! cosign 3 stores a Sigstore bundle (<https://docs.sigstore.dev/about/bundle/>) around a DSSE envelope. cosign before
//! that, and `cosign verify --local-image` of all versions, want a "simple signing" document whose signature is an
//! annotation (<https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md>). A signature here is both, so
//! that all versions take it.

use std::collections::{BTreeMap, HashMap};

use base64ct::{Base64, Encoding};
use micrun_firmware::signature::dsse::{self, Envelope};
use micrun_firmware::signature::{Keys, PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::artifact::{Artifact, Part};
use super::statement::{self, Statement};
use crate::digest::Measured;
use crate::json;

/// The artifact type and media type of a bundle. Later versions differ in the last number.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// What all versions of it begin with.
pub(super) const ANY_BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.";
/// The statement that an image is signed.
pub(super) const SIGNED: &str = "https://sigstore.dev/cosign/sign/v1";
/// The annotation of a bundle's manifest that says what is stated.
pub(super) const PREDICATE_TYPE: &str = "dev.sigstore.bundle.predicateType";
const CONTENT: &str = "dev.sigstore.bundle.content";

/// The artifact type of older signatures.
pub(super) const SIGNATURES: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";
/// The media type of each of them.
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The annotation that holds the signature of such a document.
pub(super) const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const SIMPLE_SIGNING_TYPE: &str = "cosign container image signature";

/// The annotation by which `cosign verify --local-image` finds what it needs in a layout.
pub(super) const KIND: &str = "kind";
pub(super) const KIND_IMAGE: &str = "dev.cosignproject.cosign/image";
pub(super) const KIND_INDEX: &str = "dev.cosignproject.cosign/imageIndex";
const KIND_SIGNATURES: &str = "dev.cosignproject.cosign/sigs";

/// The bundle by which a key's holder signs a statement.
pub(super) fn bundle(statement: &Statement, key: &PrivateKey) -> Artifact {
    let envelope = Envelope::sign(dsse::STATEMENT, json::canonical(statement), key);
    let bundle = Bundle {
        media_type: BUNDLE.to_owned(),
        verification_material: json!({ "publicKey": { "hint": hint(&key.public()) } }),
        dsse_envelope: envelope,
    };
    let mut artifact = Artifact::of(BUNDLE, json::canonical(&bundle));
    artifact.annotations = BTreeMap::from([
        (CONTENT, "dsse-envelope".to_owned()),
        (PREDICATE_TYPE, statement.predicate_type.clone()),
    ]);
    artifact
}

/// What cosign names a key by.
fn hint(key: &PublicKey) -> String {
    let digest = hex::decode(key.fingerprint().hex()).unwrap_or_default();
    Base64::encode_string(&digest)
}

/// A Sigstore bundle, as far as a signature by a key has one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle {
    media_type: String,
    verification_material: Value,
    dsse_envelope: Envelope,
}

impl Bundle {
    /// The fingerprint of the key that it says it is of, in hexadecimal digits. Nobody has checked that.
    pub(super) fn claims(&self) -> Option<String> {
        let hint = self.verification_material["publicKey"]["hint"].as_str()?;
        let digest = Base64::decode_vec(hint).ok()?;
        (digest.len() == 32).then(|| hex::encode(digest))
    }

    /// What one of the keys has stated in it, and which.
    pub(super) fn verified<'a>(&self, keys: &'a Keys) -> Option<(Statement, &'a PublicKey)> {
        let key = self.dsse_envelope.signer(keys)?;
        let is_statement = self.dsse_envelope.payload_type() == dsse::STATEMENT;
        let statement: Statement = serde_json::from_slice(self.dsse_envelope.payload()).ok()?;
        (is_statement && statement.kind == statement::STATEMENT).then_some((statement, key))
    }
}

/// A document of simple signing.
#[derive(Serialize, Deserialize)]
pub(super) struct Simple {
    critical: Critical,
    optional: Option<Value>,
}

#[derive(Serialize, Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: String,
}

impl Simple {
    /// The digest of the image that it speaks of.
    pub(super) fn image(&self) -> Option<&str> {
        (self.critical.kind == SIMPLE_SIGNING_TYPE).then_some(&self.critical.image.docker_manifest_digest)
    }
}

/// The older form of a signature of an image: a document and, as an annotation, what the key makes of it.
pub(super) fn simple(repository: &str, digest: &str, key: &PrivateKey) -> Part {
    let document = Simple {
        critical: Critical {
            identity: Identity { docker_reference: repository.to_owned() },
            image: Image { docker_manifest_digest: digest.to_owned() },
            kind: SIMPLE_SIGNING_TYPE.to_owned(),
        },
        optional: None,
    };
    let content = json::canonical(&document);
    let signature = Base64::encode_string(&key.sign(&content));
    let annotations = HashMap::from([(SIGNATURE.to_owned(), signature)]);
    Part { media_type: SIMPLE_SIGNING.to_owned(), content, annotations }
}

/// All signatures of an image in the older form. cosign wants them in one artifact, which looks like an image.
pub(super) fn signatures(parts: Vec<Part>) -> Artifact {
    let diff_ids = parts.iter().map(|it| Measured::of(&it.content).name());
    let config = json!({
        "architecture": "",
        "config": {},
        "os": "",
        "rootfs": { "type": "layers", "diff_ids": diff_ids.collect::<Vec<_>>() },
    });
    Artifact {
        kind: SIGNATURES,
        config: Some(json::canonical(&config)),
        parts,
        annotations: BTreeMap::new(),
        entry: BTreeMap::from([(KIND, KIND_SIGNATURES.to_owned())]),
    }
}
