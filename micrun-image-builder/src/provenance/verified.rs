//! Who has signed an image.

use std::path::Path;

use micrun_firmware::signature::Keys;
use oci_spec::image::Descriptor;

use super::attached::{Attached, Verified};
use crate::error::{Error, Result};
use crate::{names, say};

/// The keys in a file or a directory.
pub(crate) fn load_keys(keys: &Path) -> Result<Keys> {
    Keys::load(keys).map_err(|error| Error::Argument {
        what: "key",
        value: keys.display().to_string(),
        reason: error.to_string(),
    })
}

/// What of `attached`, which is about the image, is signed by one of the keys, said on stderr, too. Without a signature
/// among it, it is an error. The image itself is not looked at. `path` is where it is.
pub(crate) fn verify_signatures(
    attached: &[Attached],
    path: &Path,
    image: &Descriptor,
    keys: &Keys,
) -> Result<Vec<Verified>> {
    let digest = image.digest().to_string();
    let verified: Vec<_> = attached.iter().flat_map(|it| it.verified(&digest, keys)).collect();
    if verified.iter().any(|it| it.what == "signature") {
        for Verified { what, key, .. } in &verified {
            say::usual(format_args!("{what} by the key {key}"));
        }
        return Ok(verified);
    }
    let signatures = attached.iter().filter(|it| it.what() == "signature").count();
    let reason = match signatures {
        0 => "nobody has signed it".to_owned(),
        1 => "its signature is by none of the keys".to_owned(),
        n => format!("none of its {n} signatures is by one of the keys"),
    };
    let name = names::of(image).map_or_else(|| path.display().to_string(), str::to_owned);
    Err(Error::Unsigned { name, reason })
}
