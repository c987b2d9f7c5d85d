//! `verify --key`: who has signed an image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use micrun_firmware::signature::Keys;
use serde_json::json;

use super::attach::Chosen;
use super::attached::{Attached, Verified};
use crate::error::{Error, Result};
use crate::source::Source;
use crate::{inspect, names, say};

/// What `verify` is given.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// A public key, or a directory with keys *.pub: one of them must have signed the image
    #[arg(long, value_name = "FILE|DIR")]
    key: PathBuf,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// Checks the image to its last byte, then its signatures. Gives the text for stdout: the digest of the image.
pub(super) fn run(args: &VerifyArgs) -> Result<String> {
    let source = Source::open(&args.image)?;
    let image = Chosen::of(&source, &args.image, args.name.as_deref())?;
    let wanted = inspect::Wanted { image: args.name.as_deref(), platform: None };
    inspect::of(&source, &args.image, wanted, &BTreeMap::new(), false)?;
    let verified = verify_signatures(&source, &args.image, &image.digest(), &args.key)?;
    for Verified { what, key, .. } in &verified {
        say::usual(format_args!("{what} by the key {key}"));
    }
    let (name, digest) = (names::of(&image.entry), image.digest());
    Ok(if args.json {
        format!("{:#}\n", json!({ "name": name, "digest": digest, "verified": verified }))
    } else {
        format!("{digest}\n")
    })
}

/// The signatures and attestations of the image with this digest that are by the keys in a file or directory. Without
/// a signature among them, it is an error. The image itself is not looked at.
pub(crate) fn verify_signatures(
    source: &Source,
    path: &Path,
    image: &str,
    keys: &Path,
) -> Result<Vec<Verified>> {
    let keys = Keys::load(keys).map_err(|error| Error::Argument {
        what: "key",
        value: keys.display().to_string(),
        reason: error.to_string(),
    })?;
    let attached = Attached::to(source, image)?;
    let mut verified = Vec::new();
    for artifact in &attached {
        verified.extend(artifact.verified(source, image, &keys)?);
    }
    if verified.iter().any(|it| it.what == "signature") {
        return Ok(verified);
    }
    let signatures = attached.iter().filter(|it| it.what() == "signature").count();
    let reason = match signatures {
        0 => "nobody has signed it".to_owned(),
        1 => "its signature is by none of the keys".to_owned(),
        n => format!("none of its {n} signatures is by one of the keys"),
    };
    Err(Error::Unsigned { path: path.to_owned(), reason })
}
