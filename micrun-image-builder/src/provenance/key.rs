//! Private keys: PKCS#8 in PEM as OpenSSL writes it, or as `cosign generate-key-pair` does, under a password.
//!
//! cosign's file is PEM around JSON, which names scrypt and NaCl's secretbox, XSalsa20 with Poly1305
//! (<https://github.com/secure-systems-lab/go-securesystemslib/blob/main/encrypted/encrypted.go>).

use std::env;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use base64ct::{Base64, Encoding};
use micrun_firmware::signature::PrivateKey;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit as _;
use salsa20::XSalsa20;
use salsa20::cipher::{KeyIvInit as _, StreamCipher as _};
use serde::Deserialize;

use crate::error::{Error, Result};

/// More than any file of a key.
const MAX_FILE: u64 = 64 << 10;
/// What cosign 2 and later write, and what it wrote before.
const LABELS: [&str; 2] = ["ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"];
/// Where cosign looks for the password, too.
const PASSWORD: &str = "COSIGN_PASSWORD";
/// What scrypt may take, in bytes. cosign's own parameters take 64 MiB.
const MAX_MEMORY: u64 = 512 << 20;
const MAX_PASSES: u32 = 16;
/// The length of Poly1305's tag.
const TAG: usize = 16;

/// The key in a file.
pub(crate) fn load(path: &Path) -> Result<PrivateKey> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let mut text = String::new();
    File::open(path).map_err(read)?.take(MAX_FILE).read_to_string(&mut text).map_err(read)?;
    let key = match pem_rfc7468::decode_vec(text.as_bytes()) {
        Ok((label, sealed)) if LABELS.contains(&label) => {
            Sealed::read(&sealed).and_then(|it| it.open(&password(path)?))
        }
        _ => PrivateKey::from_pem(&text).map_err(|e| e.to_string()),
    };
    key.map_err(|reason| Error::Argument { what: "key", value: path.display().to_string(), reason })
}

/// The password, from the environment or from whoever sits at the terminal.
fn password(path: &Path) -> Result<String, String> {
    if let Ok(password) = env::var(PASSWORD) {
        return Ok(password);
    }
    rpassword::prompt_password(format!("password of {}: ", path.display()))
        .map_err(|e| format!("it has a password; there is no terminal to ask for it ({e}); set {PASSWORD}"))
}

#[derive(Deserialize)]
struct Sealed {
    kdf: Kdf,
    cipher: Cipher,
    ciphertext: String,
}

#[derive(Deserialize)]
struct Kdf {
    name: String,
    params: Parameters,
    salt: String,
}

#[derive(Deserialize)]
struct Parameters {
    #[serde(rename = "N")]
    n: u64,
    r: u32,
    p: u32,
}

#[derive(Deserialize)]
struct Cipher {
    name: String,
    nonce: String,
}

impl Sealed {
    fn read(json: &[u8]) -> Result<Self, String> {
        let sealed: Self =
            serde_json::from_slice(json).map_err(|e| format!("it is no key of cosign: {e}"))?;
        if (sealed.kdf.name.as_str(), sealed.cipher.name.as_str()) == ("scrypt", "nacl/secretbox") {
            return Ok(sealed);
        }
        Err(format!(
            "it is sealed by {:?} and {:?}, which are not known",
            sealed.kdf.name, sealed.cipher.name
        ))
    }

    fn open(&self, password: &str) -> Result<PrivateKey, String> {
        let nonce: [u8; 24] =
            bytes(&self.cipher.nonce)?.try_into().map_err(|_| "its nonce is not 24 bytes long".to_owned())?;
        let mut content = bytes(&self.ciphertext)?;
        let mut stream = XSalsa20::new(&self.derived(password)?.into(), &nonce.into());
        // The first bytes of the stream are the key of the tag, the next ones hide the content.
        let mut of_tag = [0; 32];
        stream.apply_keystream(&mut of_tag);
        let Some((tag, hidden)) = content.split_first_chunk_mut::<TAG>() else {
            return Err("it is cut off".to_owned());
        };
        if Poly1305::new(&of_tag.into()).compute_unpadded(hidden).as_slice() != tag {
            return Err("the password is wrong, or the file is damaged".to_owned());
        }
        stream.apply_keystream(hidden);
        PrivateKey::from_der(hidden).map_err(|e| e.to_string())
    }

    fn derived(&self, password: &str) -> Result<[u8; 32], String> {
        let Parameters { n, r, p } = self.kdf.params;
        let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
        let log_n = u8::try_from(n.checked_ilog2().unwrap_or(0)).unwrap_or(u8::MAX);
        let params = scrypt::Params::new(log_n, r, p).ok();
        let params = params.filter(|_| n.is_power_of_two() && memory <= MAX_MEMORY && p <= MAX_PASSES);
        let params =
            params.ok_or_else(|| format!("scrypt's parameters N={n}, r={r}, p={p} are not taken"))?;
        let mut key = [0; 32];
        scrypt::scrypt(password.as_bytes(), &bytes(&self.kdf.salt)?, &params, &mut key)
            .map_err(|e| e.to_string())?;
        Ok(key)
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    Base64::decode_vec(text).map_err(|e| format!("it is no key of cosign: {e}"))
}
