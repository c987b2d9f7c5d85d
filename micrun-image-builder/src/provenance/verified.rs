//! Who has signed an image.

use std::path::Path;

use micrun_firmware::signature::Keys;
use oci_spec::image::Descriptor;

use super::attached::{Attached, Verified};
use crate::error::{Error, Result};
use crate::source::Source;
use crate::{names, say};

/// The signatures and attestations of an image that are by the keys in a file or directory, said on stderr, too. Without
/// a signature among them, it is an error. The image itself is not looked at. `path` is where it is.
pub(crate) fn verify_signatures(
    source: &Source,
    path: &Path,
    image: &Descriptor,
    keys: &Path,
) -> Result<Vec<Verified>> {
    let keys = Keys::load(keys).map_err(|error| Error::Argument {
        what: "key",
        value: keys.display().to_string(),
        reason: error.to_string(),
    })?;
    let digest = image.digest().to_string();
    let attached = Attached::to(source, &digest)?;
    let mut verified = Vec::new();
    for artifact in &attached {
        verified.extend(artifact.verified(source, &digest, &keys)?);
    }
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
