//! The signature of a firmware: which bytes the holder of a key lets run.
//!
//! A shim sees a root file system, never a manifest, so the signature is a file of the image. It is a DSSE envelope
//! around an in-toto statement whose subjects are the files that decide what runs, by what they are for and not by
//! where they are.

pub mod dsse;
mod key;

use serde::{Deserialize, Serialize};

use crate::text::quoted;
use crate::{Error, Result, Sha256Digest};
use dsse::Envelope;
pub use key::{Keys, PrivateKey, PublicKey};

/// Where the signature is in an image.
pub const PATH: &str = "/.micrun/signature.json";
/// The largest signature file that is read, in bytes.
pub const MAX_SIZE: u64 = 64 << 10;
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://openeuler.org/micrun/firmware/v1";

/// The files that decide what runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The firmware.
    pub firmware: Sha256Digest,
    /// client.conf, if the image has one.
    pub conf: Option<Sha256Digest>,
    /// The pedestal's own file, or boot code, if there is one.
    pub pedestal_file: Option<Sha256Digest>,
}

/// The names of the subjects.
const FIRMWARE: &str = "firmware";
const CONF: &str = "client.conf";
const PEDESTAL_FILE: &str = "pedestal-file";

#[derive(Serialize, Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    predicate: serde_json::Map<String, serde_json::Value>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    subject: Vec<Subject>,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    digest: Digests,
    name: String,
}

#[derive(Serialize, Deserialize)]
struct Digests {
    sha256: String,
}

impl Signed {
    /// The content of the signature file. The same files and the same key give the same bytes.
    pub fn sign(&self, key: &PrivateKey) -> Result<Vec<u8>> {
        let named = [(FIRMWARE, Some(self.firmware)), (CONF, self.conf), (PEDESTAL_FILE, self.pedestal_file)];
        let subject = named.into_iter().filter_map(|(name, digest)| {
            Some(Subject { digest: Digests { sha256: digest?.hex() }, name: name.to_owned() })
        });
        let statement = Statement {
            kind: STATEMENT.to_owned(),
            predicate: serde_json::Map::new(),
            predicate_type: PREDICATE.to_owned(),
            subject: subject.collect(),
        };
        let write = |e: serde_json::Error| refuse(format!("it cannot be written: {e}"));
        let payload = serde_json::to_vec(&statement).map_err(write)?;
        serde_json::to_vec(&Envelope::sign(dsse::STATEMENT, payload, key)).map_err(write)
    }

    /// What the signature file lets run, if one of the keys has signed it. Nothing in it counts before that.
    pub fn verify(envelope: &[u8], keys: &Keys) -> Result<Self> {
        let json = |e: serde_json::Error| refuse(format!("it is not a DSSE envelope of a statement: {e}"));
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(json)?;
        if envelope.signer(keys).is_none() {
            return Err(refuse("none of the host's keys has made it".to_owned()));
        }
        if envelope.payload_type() != dsse::STATEMENT {
            return Err(refuse(format!("it is of a {}", quoted(envelope.payload_type()))));
        }
        let statement: Statement = serde_json::from_slice(envelope.payload()).map_err(json)?;
        // A key may sign other statements as well: about another firmware's build, say.
        if (statement.kind.as_str(), statement.predicate_type.as_str()) != (STATEMENT, PREDICATE) {
            return Err(refuse(format!("its statement is a {}", quoted(&statement.predicate_type))));
        }
        let [mut firmware, mut conf, mut pedestal_file] = [None; 3];
        for Subject { digest, name } in statement.subject {
            let place = match name.as_str() {
                FIRMWARE => &mut firmware,
                CONF => &mut conf,
                PEDESTAL_FILE => &mut pedestal_file,
                other => return Err(refuse(format!("it speaks of {}, which is not known", quoted(other)))),
            };
            if place.replace(digest.sha256.parse()?).is_some() {
                return Err(refuse(format!("it speaks of {name} twice")));
            }
        }
        let firmware = firmware.ok_or_else(|| refuse("it speaks of no firmware".to_owned()))?;
        Ok(Self { firmware, conf, pedestal_file })
    }
}

fn refuse(reason: String) -> Error {
    Error::Unusable { path: PATH.to_owned(), reason }
}
