//! `verify`: everything that can be checked about an image, and all that is found.

mod findings;
mod lint;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::error::Result;
use crate::inspect::{self, Wanted};
use crate::layers::Budget;
use crate::names;
use crate::provenance::{Attached, load_keys, verify_signatures};
use crate::say;
use crate::source::Source;
use findings::Findings;
use lint::Lint;

#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    path: PathBuf,
    /// Which image it is; without it, all are checked
    #[arg(long, value_name = "NAME[:TAG]")]
    image: Option<String>,
    /// A public key, or a directory with keys *.pub: one of them must have signed the image (docs/PROVENANCE.md)
    #[arg(long, value_name = "FILE|DIR")]
    key: Option<PathBuf>,
    /// Exit with 7 if there are warnings
    #[arg(long)]
    strict: bool,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// Gives the text for stdout, the digests of the images or JSON, and an error if they are not in order. What is found
/// is said on stderr.
pub(crate) fn run(args: &VerifyArgs) -> Result<(String, Result<()>)> {
    let source = Source::open(&args.path)?;
    let images = source.images()?;
    let wanted = Wanted { image: args.image.as_deref(), platform: None };
    let entries = wanted.of(&images)?;
    let mut findings = Findings::default();
    let mut lint = Lint::new(&source, &mut findings);
    for entry in &entries {
        lint.entry(entry);
    }
    doubts(&source, wanted, &mut findings);

    let mut verdict = findings.verdict(&args.path, args.strict);
    let signed = match args.key.as_deref().filter(|_| verdict.is_ok()) {
        Some(keys) => Some((Attached::all(&source, &mut Budget::for_an_image())?, load_keys(keys)?)),
        None => None,
    };
    let mut images = Vec::new();
    for entry in &entries {
        let mut image = json!({ "name": names::of(entry), "digest": entry.digest().to_string() });
        if let (Some((attached, keys)), Ok(())) = (&signed, &verdict) {
            let attached = attached.get(entry.digest().as_ref()).map(Vec::as_slice).unwrap_or_default();
            match verify_signatures(attached, &args.path, entry, keys) {
                Ok(verified) => image["verified"] = json!(verified),
                Err(error) => verdict = Err(error),
            }
        }
        images.push(image);
    }
    let text = if args.json {
        let report = json!({ "file": args.path, "images": images, "findings": findings.sorted() });
        format!("{report:#}\n")
    } else {
        findings.say();
        let digests = entries.iter().map(|it| format!("{}\n", it.digest()));
        digests.filter(|_| verdict.is_ok()).collect()
    };
    if verdict.is_ok() {
        let plural = if entries.len() == 1 { "image is" } else { "images are" };
        say::usual(format_args!("{} {plural} in order", entries.len()));
    }
    Ok((text, verdict))
}

/// What containerd and a shim make of each image.
fn doubts(source: &Source, wanted: Wanted<'_>, findings: &mut Findings) {
    let images = match inspect::doubts(source, wanted) {
        Ok(images) => images,
        Err(error) => return findings.error("index.json", &error),
    };
    for (name, doubts) in images {
        match doubts {
            Ok(doubts) => doubts.iter().for_each(|doubt| findings.warning(&name, doubt)),
            Err(error) => findings.error(&name, &error),
        }
    }
}
