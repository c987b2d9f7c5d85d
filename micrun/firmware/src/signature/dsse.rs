//! DSSE envelopes: a statement and the signatures for it (<https://github.com/secure-systems-lab/dsse>).

use serde::{Deserialize, Serialize};

use super::{Keys, PrivateKey, PublicKey};
use crate::Result;

/// Signatures in one envelope that are looked at.
const MAX_SIGNATURES: usize = 16;
/// The payload type of in-toto statements (<https://github.com/in-toto/attestation>).
pub const STATEMENT: &str = "application/vnd.in-toto+json";

/// An envelope. Nothing in it counts before one of its signatures is checked.
#[derive(Debug, Serialize, Deserialize)]
pub struct Envelope {
    payload: Base64,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<Signature>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signature {
    sig: Base64,
}

impl Envelope {
    /// Signs a payload of some type. The same payload and the same key give the same bytes.
    pub fn sign(payload_type: &str, payload: Vec<u8>, key: &PrivateKey) -> Self {
        let sig = Base64(key.sign(&encoded(payload_type, &payload)));
        Self {
            payload: Base64(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![Signature { sig }],
        }
    }

    /// Who of the owners of these keys has signed it.
    pub fn signer<'a>(&self, keys: &'a Keys) -> Option<&'a PublicKey> {
        let message = encoded(&self.payload_type, &self.payload.0);
        self.signatures.iter().take(MAX_SIGNATURES).find_map(|it| keys.signer(&message, &it.sig.0))
    }

    /// What the payload is.
    pub fn payload_type(&self) -> &str {
        &self.payload_type
    }

    /// What is signed.
    pub fn payload(&self) -> &[u8] {
        &self.payload.0
    }
}

/// DSSE's pre-authentication encoding.
fn encoded(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend(payload);
    bytes
}

/// Bytes that JSON has as text.
#[derive(Debug)]
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
