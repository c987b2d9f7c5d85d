//! `resolve` and `tags`.

use serde_json::json;

use super::args::Query;
use super::connect;
use super::hosts::Use;
use super::pull::root;
use super::repository::Repository;
use crate::error::Result;
use crate::text;

/// The digest that a name stands for, computed from the manifest itself.
pub(super) fn resolve(args: &Query) -> Result<String> {
    let endpoints = connect::endpoints(&args.network, &args.name.host, &args.name.repository, Use::Resolve)?;
    let (_, manifest) = root(&endpoints, &args.name)?;
    let digest = manifest.digest();
    if !args.json {
        return Ok(format!("{digest}\n"));
    }
    let report = json!({
        "name": args.name.to_string(),
        "digest": digest,
        "size": manifest.blob.size,
        "media_type": manifest.media_type,
    });
    Ok(format!("{report}\n"))
}

/// The tags of a repository, as the registry sorts them.
pub(super) fn tags(args: &Query) -> Result<String> {
    // A mirror has only what somebody has fetched through it.
    let endpoint = connect::writable(&args.network, &args.name.host, &args.name.repository)?;
    let tags = Repository::to_read(&endpoint, &args.name.repository).tags()?;
    if args.json {
        return Ok(format!("{}\n", json!({"repository": args.name.place(), "tags": tags})));
    }
    Ok(tags.iter().map(|tag| text::printable(tag) + "\n").collect())
}
