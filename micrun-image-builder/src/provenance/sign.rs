//! `sign`: a signature of an image that cosign takes for its own.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::attach::Chosen;
use super::attached::Attached;
use super::cosign;
use super::key;
use super::statement::Statement;
use crate::error::Result;
use crate::layers::Budget;
use crate::names;
use crate::say;
use crate::source::Source;

/// What `sign` is given.
#[derive(Args, Debug)]
pub(crate) struct SignArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// A private key: ECDSA P-256 in PEM (PKCS#8), or a cosign.key, whose password is the variable `COSIGN_PASSWORD`, or asked for
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signed image goes [default: IMAGE itself]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    output: Option<PathBuf>,
    /// Print what was signed as JSON
    #[arg(long)]
    json: bool,
}

/// Signs. Gives the text for stdout: the digest of the image.
pub(super) fn run(args: &SignArgs) -> Result<String> {
    let key = key::load(&args.key)?;
    let source = Source::open(&args.image)?;
    let image = Chosen::of(&source, &args.image, args.name.as_deref())?;
    let digest = image.digest();
    let statement = Statement::about(None, &digest, cosign::SIGNED, json!({}));
    // The older signatures of an image are one artifact: those that it has are taken into the new one.
    let (mut parts, mut replaced) = (Vec::new(), Vec::new());
    let mut attached = Attached::all(&source, &mut Budget::for_an_image())?;
    for attached in attached.remove(&digest).unwrap_or_default() {
        let others: Vec<_> = attached.simple_parts().collect();
        if !others.is_empty() {
            parts.extend(others);
            replaced.push(attached.entry.digest().to_string());
        }
    }
    let new = cosign::simple(&image.repository(), &digest, &key);
    parts.retain(|it| it.content != new.content || it.annotations != new.annotations);
    parts.push(new);
    let artifacts = [cosign::bundle(&statement, &key), cosign::signatures(parts)];
    image.attach(&artifacts, replaced, args.output.as_deref())?;
    let fingerprint = key.public().fingerprint();
    let name = names::of(&image.entry).unwrap_or("the image").to_owned();
    say::usual(format_args!("signed {name} with the key {fingerprint}"));
    let text = if args.json {
        format!("{:#}\n", json!({ "name": names::of(&image.entry), "digest": digest, "key": fingerprint }))
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(args.output.as_deref().unwrap_or(&args.image), text))
}
