//! `push`: from an archive or a layout to a registry.

use std::io::Read;

use oci_spec::image::Descriptor;
use serde_json::json;

use super::args::{Network, Push};
use super::blob::{Open, Outcome};
use super::connect;
use super::parallel;
use super::progress::Progress;
use super::reference::{Reference, Version};
use super::referrers::{self, Referrer};
use super::repository::Repository;
use crate::error::{Error, Result};
use crate::graph::{Graph, Manifest};
use crate::source::Source;
use crate::{names, say};

/// Opens the content of a blob of the image.
pub(super) type Content<'a> = dyn Fn(&Descriptor) -> Result<Box<dyn Read + 'a>> + Sync + 'a;

pub(super) fn run(args: &Push) -> Result<String> {
    let source = Source::open(&args.image)?;
    let images = source.images()?;
    let asked = args.from.as_deref().map(str::parse::<Reference>).transpose()?;
    let entry = choose(&images, asked.as_ref().or(args.name.as_ref()), args.from.is_some())?;
    let target = match (&args.name, names::of(entry)) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => name.parse()?,
        (None, None) => {
            return Err(Error::Argument {
                what: "image",
                value: args.image.display().to_string(),
                reason: "it has no name; say where it goes".to_owned(),
            });
        }
    };
    let graph = Graph::read(&source, entry)?.whole()?;
    let content = |blob: &Descriptor| -> Result<Box<dyn Read + '_>> {
        // `Blob` borrows its descriptor; the digest is checked by who sends it.
        source.content(blob)
    };
    let referrers = if args.referrers { referrers::stored(&source, &graph)? } else { Vec::new() };
    let outcomes = send(&args.network, &graph, &referrers, &target, args.mount_from.as_deref(), &content)?;
    Ok(said(&target, &graph, &outcomes, args.json))
}

/// The entry that a name stands for. A single image needs no name, unless one was asked for.
fn choose<'a>(entries: &'a [Descriptor], name: Option<&Reference>, must: bool) -> Result<&'a Descriptor> {
    let named = |entry: &&Descriptor| {
        let parsed = names::of(entry).and_then(|it| it.parse::<Reference>().ok());
        parsed.zip(name).is_some_and(|(has, wanted)| has.to_string() == wanted.to_string())
    };
    if let Some(found) = entries.iter().find(named) {
        return Ok(found);
    }
    match entries {
        [only] if !must => Ok(only),
        _ => {
            let all: Vec<_> = entries.iter().filter_map(names::of).collect();
            Err(Error::Argument {
                what: "image name",
                value: name.map(ToString::to_string).unwrap_or_default(),
                reason: format!("choose one by its name with --from: {}", all.join(", ")),
            })
        }
    }
}

/// Sends an image: blobs first, then the manifests that name them, the root under its tag, and last what is about it.
pub(super) fn send(
    network: &Network,
    graph: &Graph,
    referrers: &[Referrer],
    target: &Reference,
    mount_from: Option<&str>,
    content: &Content<'_>,
) -> Result<Vec<Outcome>> {
    let endpoint = connect::writable(network, &target.host, &target.repository)?;
    let repository = Repository::to_write(&endpoint, &target.repository);
    let progress = Progress::new();
    let outcomes = std::sync::Mutex::new(Vec::new());
    parallel::each(&referrers::blobs(graph, referrers), network.parallel, |blob| {
        let bar = progress.bar(blob);
        let open: Open<'_> = &|| content(blob);
        let outcome = repository.push_blob(blob, mount_from, open, &bar)?;
        bar.done(
            blob,
            match outcome {
                Outcome::Present => "already there",
                Outcome::Mounted => "mounted from another repository",
                Outcome::Sent => "sent",
            },
        );
        outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(outcome);
        Ok(())
    })?;
    let Some((root, others)) = graph.manifests.split_last() else { return Ok(Vec::new()) };
    for manifest in others {
        if !repository.has_manifest(&manifest.digest())? {
            repository.put_manifest(&manifest.digest(), &manifest.media_type, &manifest.bytes)?;
        }
    }
    match &target.version {
        Version::Digest(digest) if digest.to_string() != root.digest() => {
            return Err(Error::Argument {
                what: "digest",
                value: digest.to_string(),
                reason: format!("the image has another one, {}", root.digest()),
            });
        }
        version => repository.put_manifest(&version.to_string(), &root.media_type, &root.bytes)?,
    };
    referrers.iter().try_for_each(|referrer| referrers::send(&repository, referrer))?;
    Ok(outcomes.into_inner().unwrap_or_default())
}

/// What is printed about an image that was sent.
pub(super) fn said(target: &Reference, graph: &Graph, outcomes: &[Outcome], as_json: bool) -> String {
    let digest = graph.manifests.last().map(Manifest::digest).unwrap_or_default();
    let count = |wanted| outcomes.iter().filter(|it| **it == wanted).count();
    say::usual(format_args!("sent {target}"));
    if !as_json {
        return format!("{digest}\n");
    }
    let report = json!({
        "name": target.to_string(),
        "digest": digest,
        "manifests": graph.manifests.len(),
        "blobs": {
            "sent": count(Outcome::Sent),
            "mounted": count(Outcome::Mounted),
            "present": count(Outcome::Present),
        },
    });
    format!("{report}\n")
}
