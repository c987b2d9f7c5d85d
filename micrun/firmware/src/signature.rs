//! The signature of a firmware: which bytes the holder of a key lets run.
//!
//! A shim sees a root file system, never a manifest, so the signature is a file of the image. It is a DSSE envelope
//! (<https://github.com/secure-systems-lab/dsse>) around an in-toto statement whose subjects are the files that decide
//! what runs, by what they are for and not by where they are. The keys are ECDSA P-256, as `cosign generate-key-pair`
//! writes the public half.

use std::path::Path;
use std::{fs, io};

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey};
use serde::{Deserialize, Serialize};

use crate::text::quoted;
use crate::{Error, Result, Sha256Digest};

/// Where the signature is in an image.
pub const PATH: &str = "/.micrun/signature.json";
/// The largest signature file that is read, in bytes.
pub const MAX_SIZE: u64 = 64 << 10;
/// What an envelope holds.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://openeuler.org/micrun/firmware/v1";
/// Signatures in one envelope that are looked at.
const MAX_SIGNATURES: usize = 16;
/// Files in a directory of keys that are looked at, and the size of each.
const MAX_KEYS: usize = 64;
const MAX_KEY: u64 = 16 << 10;

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
struct Envelope {
    payload: Base64,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Serialize, Deserialize)]
struct Signature {
    sig: Base64,
}

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

/// Bytes that JSON has as text.
struct Base64(Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use base64ct::Encoding;
        serializer.serialize_str(&base64ct::Base64::encode_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use base64ct::Encoding;
        let text = String::deserialize(deserializer)?;
        base64ct::Base64::decode_vec(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl Signed {
    /// The content of the signature file, for `key`, a private key in PEM (PKCS#8). The same files and the same key give
    /// the same bytes (RFC 6979).
    pub fn sign(&self, key: &str) -> Result<Vec<u8>> {
        let key = SigningKey::from_pkcs8_pem(key)
            .map_err(|e| refuse(format!("the private key is no P-256 key in PKCS#8 PEM ({e})")))?;
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
        let signature: DerSignature = key.sign(&encoded(PAYLOAD_TYPE, &payload));
        let envelope = Envelope {
            payload: Base64(payload),
            payload_type: PAYLOAD_TYPE.to_owned(),
            signatures: vec![Signature { sig: Base64(signature.as_bytes().to_vec()) }],
        };
        serde_json::to_vec(&envelope).map_err(write)
    }

    /// What the signature file lets run, if one of the keys has signed it. Nothing in it counts before that.
    pub fn verify(envelope: &[u8], keys: &Keys) -> Result<Self> {
        let json = |e: serde_json::Error| refuse(format!("it is not a DSSE envelope of a statement: {e}"));
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(json)?;
        let message = encoded(&envelope.payload_type, &envelope.payload.0);
        let of_ours = |signature: &Signature| {
            DerSignature::from_bytes(&signature.sig.0)
                .is_ok_and(|it| keys.0.iter().any(|key| key.verify(&message, &it).is_ok()))
        };
        if !envelope.signatures.iter().take(MAX_SIGNATURES).any(of_ours) {
            return Err(refuse("none of the host's keys has made it".to_owned()));
        }
        if envelope.payload_type != PAYLOAD_TYPE {
            return Err(refuse(format!("it is of a {}", quoted(&envelope.payload_type))));
        }
        let statement: Statement = serde_json::from_slice(&envelope.payload.0).map_err(json)?;
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

/// What is signed: DSSE's pre-authentication encoding.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend(payload);
    bytes
}

/// Public keys that a host trusts.
#[derive(Debug)]
pub struct Keys(Vec<VerifyingKey>);

impl Keys {
    /// The keys in the files `*.pub` of a directory, or in one file. A file that is no key is an error, and so is a
    /// place without keys: who asks for signatures must not get none checked.
    pub fn load(place: &Path) -> Result<Self> {
        let io = |error| Error::io("read the keys", place.display().to_string(), error);
        let mut files = Vec::new();
        if place.is_dir() {
            for entry in fs::read_dir(place).map_err(io)? {
                let path = entry.map_err(io)?.path();
                if path.extension().is_some_and(|it| it == "pub") {
                    files.push(path);
                }
            }
        } else {
            files.push(place.to_owned());
        }
        files.sort();
        if files.len() > MAX_KEYS {
            let reason = format!(
                "it has {} files *.pub, but {MAX_KEYS} at most are read; remove the keys that nobody uses",
                files.len()
            );
            return Err(Error::HostConf { place: place.display().to_string(), reason });
        }
        let keys = files.iter().map(|path| key(path)).collect::<Result<Vec<_>>>()?;
        if keys.is_empty() {
            let reason = "it has no *.pub".to_owned();
            return Err(Error::HostConf { place: place.display().to_string(), reason });
        }
        Ok(Self(keys))
    }
}

fn key(path: &Path) -> Result<VerifyingKey> {
    let wrong = |reason: String| Error::HostConf { place: path.display().to_string(), reason };
    let read = |path: &Path| -> io::Result<String> {
        let mut text = String::new();
        let file = fs::File::open(path)?;
        io::Read::read_to_string(&mut io::Read::take(file, MAX_KEY), &mut text)?;
        Ok(text)
    };
    let text = read(path).map_err(|e| wrong(e.to_string()))?;
    VerifyingKey::from_public_key_pem(&text)
        .map_err(|e| wrong(format!("it is no P-256 public key in PEM, as cosign.pub is ({e})")))
}

fn refuse(reason: String) -> Error {
    Error::Unusable { path: PATH.to_owned(), reason }
}
