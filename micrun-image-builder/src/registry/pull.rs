//! `pull`: from a registry into an archive or a layout.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use oci_spec::image::{Descriptor, ImageIndex};
use serde_json::json;

use super::args::Pull;
use super::connect;
use super::hosts::Use;
use super::parallel;
use super::progress::Progress;
use super::reference::{Reference, Version};
use super::referrers::{self, Referrer};
use super::repository::Repository;
use super::transport::Endpoint;
use crate::error::{Error, Result};
use crate::graph::{Graph, Manifest};
use crate::names::{self, ImageName};
use crate::platform::Host;
use crate::{say, text, whole};

pub(super) fn run(args: &Pull) -> Result<String> {
    let endpoints = connect::endpoints(&args.network, &args.name.host, &args.name.repository, Use::Pull)?;
    let (endpoint, root) = root(&endpoints, &args.name)?;
    let repository = Repository::to_read(endpoint, &args.name.repository);
    let root = match &args.platform {
        Some(wanted) => for_platform(&repository, root, wanted, &args.name)?,
        None => root,
    };
    let graph = graph(&repository, root)?;
    let referrers = if args.referrers { referrers::listed(&repository, &graph)? } else { Vec::new() };
    let output = args.output.clone().unwrap_or_else(|| default_output(&args.name));
    let fetched: Mutex<HashMap<String, File>> = Mutex::default();
    let progress = Progress::new();
    parallel::each(&referrers::blobs(&graph, &referrers), args.network.parallel, |blob| {
        if is_there(&output, blob) {
            progress.bar(blob).done(blob, "already there");
            return Ok(());
        }
        let bar = progress.bar(blob);
        let file = repository.pull_blob(blob, &bar)?;
        bar.done(blob, "fetched");
        fetched.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.digest().to_string(), file);
        Ok(())
    })?;
    let fetched = fetched.into_inner().unwrap_or_else(PoisonError::into_inner);
    let digest = store(&output, &args.name, graph, referrers, fetched)?;
    say::usual(format_args!("fetched {} to {}", args.name, output.display()));
    let text = if args.json {
        format!("{}\n", json!({"name": args.name.to_string(), "digest": digest, "output": output}))
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(&output, text))
}

/// The manifest of a name, and the endpoint that had it: mirrors are tried first.
pub(super) fn root<'a>(endpoints: &'a [Endpoint], name: &Reference) -> Result<(&'a Endpoint, Manifest)> {
    let mut last = None;
    for endpoint in endpoints {
        match Repository::to_read(endpoint, &name.repository).manifest(&name.version) {
            Ok(manifest) => return Ok((endpoint, manifest)),
            Err(error) => {
                if endpoint.mirror_of.is_some() {
                    let why = text::printable(&error.to_string());
                    say::usual(format_args!("the mirror {} was of no use: {why}", endpoint.host()));
                }
                last = Some(error);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::Damaged("there is no registry to ask".to_owned())))
}

pub(super) fn graph(repository: &Repository<'_>, root: Manifest) -> Result<Graph> {
    Graph::of(root, |child| {
        let mut manifest = repository.manifest(&Version::Digest(child.digest().clone()))?;
        manifest.media_type = child.media_type().to_string();
        Ok(Some(manifest))
    })
}

/// The manifest for one platform of an index.
fn for_platform(
    repository: &Repository<'_>,
    root: Manifest,
    wanted: &Host,
    name: &Reference,
) -> Result<Manifest> {
    let Ok(index) = serde_json::from_slice::<ImageIndex>(&root.bytes) else { return Ok(root) };
    let platform = |it: &Descriptor| it.platform().as_ref().map(Host::from);
    if let Some(found) = index.manifests().iter().find(|it| platform(it).as_ref() == Some(wanted)) {
        return repository.manifest(&Version::Digest(found.digest().clone()));
    }
    let all: Vec<_> = index.manifests().iter().filter_map(platform).map(|it| it.to_string()).collect();
    Err(Error::Argument {
        what: "platform",
        value: wanted.to_string(),
        reason: format!("{name} has {}", all.join(", ")),
    })
}

fn default_output(name: &Reference) -> PathBuf {
    let word = name.repository.rsplit('/').next().unwrap_or("image");
    format!("{word}.tar").into()
}

/// Whether a layout that the image goes to has the blob, undamaged.
fn is_there(output: &Path, blob: &Descriptor) -> bool {
    let path = output.join("blobs/sha256").join(blob.digest().digest());
    let same = |mut file: File| {
        let mut meter = crate::digest::MeteredWriter::new(io::sink());
        io::copy(&mut file, &mut meter).is_ok() && meter.finish().1.digest.digest() == blob.digest().digest()
    };
    output.join("oci-layout").is_file() && File::open(path).is_ok_and(same)
}

fn store(
    output: &Path,
    name: &Reference,
    mut fetched: Graph,
    mut referrers: Vec<Referrer>,
    mut files: HashMap<String, File>,
) -> Result<String> {
    let annotations = annotations(name)?;
    let tag = matches!(name.version, Version::Tag(_)).then(|| name.to_string());
    // The layout has the others.
    for graph in referrers.iter_mut().map(|it| &mut it.graph).chain([&mut fetched]) {
        graph.blobs.retain(|blob| files.contains_key(&blob.digest().to_string()));
    }
    let artifacts: Vec<_> = referrers.iter().map(|it| (it.entry.clone(), &it.graph)).collect();
    whole::store_with(&artifacts, output, annotations, tag.as_deref(), &[&fetched], |blob, to| {
        let Some(mut file) = files.remove(&blob.digest().to_string()) else { return Ok(()) };
        io::copy(&mut file, to).map_err(|source| Error::Write { path: output.to_owned(), source })?;
        Ok(())
    })
}

fn annotations(name: &Reference) -> Result<HashMap<String, String>> {
    match &name.version {
        Version::Tag(_) => Ok(ImageName::parse(&name.to_string())?.annotations()),
        Version::Digest(_) => Ok(HashMap::from([(names::IMAGE_NAME.to_owned(), name.to_string())])),
    }
}
