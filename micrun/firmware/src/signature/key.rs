//! Keys: ECDSA P-256 with SHA-256, in the files that OpenSSL and cosign write.

use std::path::Path;
use std::{fs, io};

use p256::ecdsa::signature::{Signer, Verifier};
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey};

use crate::{Error, Result, Sha256Digest};

/// Files in a directory of keys that are looked at, and the size of each.
const MAX_KEYS: usize = 64;
const MAX_KEY: u64 = 16 << 10;

/// A key that signs.
#[derive(Debug)]
pub struct PrivateKey(SigningKey);

impl PrivateKey {
    /// The key in a text of PEM, PKCS#8.
    pub fn from_pem(text: &str) -> Result<Self> {
        SigningKey::from_pkcs8_pem(text)
            .map(Self)
            .map_err(|e| refuse(format!("it is no P-256 key in PKCS#8 PEM ({e})")))
    }

    /// The key in the bytes of PKCS#8.
    pub fn from_der(bytes: &[u8]) -> Result<Self> {
        SigningKey::from_pkcs8_der(bytes)
            .map(Self)
            .map_err(|e| refuse(format!("it is no P-256 key in PKCS#8 ({e})")))
    }

    /// A signature in DER. The same message and the same key give the same bytes (RFC 6979).
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: DerSignature = self.0.sign(message);
        signature.as_bytes().to_vec()
    }

    /// The half that everybody may have.
    pub fn public(&self) -> PublicKey {
        PublicKey(*self.0.verifying_key())
    }
}

/// A key that checks signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Whether the private half has made this signature, in DER, for the message.
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        DerSignature::from_bytes(signature).is_ok_and(|it| self.0.verify(message, &it).is_ok())
    }

    /// The digest of the key in DER (`SubjectPublicKeyInfo`), which cosign calls its hint:
    /// `openssl pkey -pubin -outform der | sha256sum`.
    ///
    /// # Panics
    ///
    /// Never: each point of the curve has an encoding.
    pub fn fingerprint(&self) -> Sha256Digest {
        #[expect(clippy::expect_used, reason = "a key on the curve always has an encoding")]
        let der = self.0.to_public_key_der().expect("a key of P-256");
        Sha256Digest::of(der.as_bytes())
    }
}

/// Public keys that somebody trusts.
#[derive(Debug)]
pub struct Keys(Vec<PublicKey>);

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

    /// The key that has made this signature, in DER, for the message.
    pub fn signer(&self, message: &[u8], signature: &[u8]) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.has_signed(message, signature))
    }
}

fn key(path: &Path) -> Result<PublicKey> {
    let wrong = |reason: String| Error::HostConf { place: path.display().to_string(), reason };
    let read = |path: &Path| -> io::Result<String> {
        let mut text = String::new();
        let file = fs::File::open(path)?;
        io::Read::read_to_string(&mut io::Read::take(file, MAX_KEY), &mut text)?;
        Ok(text)
    };
    let text = read(path).map_err(|e| wrong(e.to_string()))?;
    VerifyingKey::from_public_key_pem(&text)
        .map(PublicKey)
        .map_err(|e| wrong(format!("it is no P-256 public key in PEM, as cosign.pub is ({e})")))
}

fn refuse(reason: String) -> Error {
    Error::Unusable { path: "the private key".to_owned(), reason }
}
