//! `export`: from containerd to an archive or a layout.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek};
use std::path::PathBuf;

use micrun_containerd::api::images::{self, GetRequest, Image, Response};
use micrun_containerd::{Client, Error};
use oci_spec::image::Descriptor as Entry;
use serde_json::json;
use tonic::Code;

use super::args::Export;
use crate::error::{Error as Fault, Result};
use crate::graph::{Graph, Manifest};
use crate::names::{self, ImageName};
use crate::{say, whole};

/// Exports an image. Gives the text for stdout: its digest, or JSON.
pub(super) async fn run(args: &Export) -> Result<String> {
    let client = Client::connect(&args.containerd.resolve()).await?;
    let image = image(&client, &args.name).await?;
    let graph = graph(&client, &image).await?;
    let name = ImageName::parse(&image.name).ok();
    let output = args.output.clone().unwrap_or_else(|| default_output(name.as_ref()));
    // To files without a name first: what writes the image waits for nobody.
    let mut files: HashMap<String, File> = HashMap::new();
    for blob in &graph.blobs {
        let digest = blob.digest().to_string();
        let wrong = |source| Fault::Write { path: std::env::temp_dir(), source };
        let mut file = tempfile::tempfile().map_err(wrong)?;
        client.get(&digest, &mut file).await?;
        file.rewind().map_err(wrong)?;
        files.insert(digest, file);
    }
    let annotations = match &name {
        Some(name) => name.annotations(),
        None => HashMap::from([(names::IMAGE_NAME.to_owned(), image.name.clone())]),
    };
    let digest =
        whole::store(&output, annotations, name.as_ref().map(ImageName::full), &[&graph], |blob, to| {
            let write = |source| Fault::Write { path: output.clone(), source };
            let Some(file) = files.get_mut(&blob.digest().to_string()) else { return Ok(()) };
            io::copy(file, to).map(|_| ()).map_err(write)
        })?;
    say::usual(format_args!("wrote {} to {}", image.name, output.display()));
    for missing in &graph.missing {
        say::usual(format_args!(
            "note: containerd does not have {}, so the archive lacks it",
            missing.digest()
        ));
    }
    let text = if args.json {
        format!("{:#}\n", json!({"name": image.name, "digest": digest, "output": output}))
    } else {
        format!("{digest}\n")
    };
    Ok(say::beside(&output, text))
}

fn default_output(name: Option<&ImageName>) -> PathBuf {
    format!("{}.tar", name.map_or("image", |name| name.short())).into()
}

/// The image of this name, complete or not.
async fn image(client: &Client, name: &str) -> Result<Image> {
    let full = ImageName::parse(name).ok().map(|it| it.full().to_owned());
    let mut last = None;
    for name in [Some(name.to_owned()), full].into_iter().flatten() {
        let found: Result<Response, _> = client.call(images::GET, GetRequest { name }).await;
        match found {
            Ok(Response { image: Some(image) }) => return Ok(image),
            Ok(_) => {}
            Err(status) if status.code() == Code::NotFound => last = Some(status),
            Err(status) => return Err(Error::refused("look for the image", &status).into()),
        }
    }
    let said = last.map_or_else(|| "it is not there".to_owned(), |status| status.message().to_owned());
    Err(Error::Refused { what: format!("find the image {name}"), said, code: Code::NotFound }.into())
}

/// The image with all that containerd has of it.
async fn graph(client: &Client, image: &Image) -> Result<Graph> {
    let target = image.target.clone().unwrap_or_default();
    let root = manifest(client, &target.digest, &target.media_type).await?;
    // Breadth first, before the graph asks for them: it cannot wait.
    let mut known: HashMap<String, Option<Manifest>> = HashMap::new();
    let mut left: Vec<Entry> = root.links()?.manifests;
    while let Some(child) = left.pop() {
        let digest = child.digest().to_string();
        if known.contains_key(&digest) {
            continue;
        }
        let found = if client.has(&digest).await? {
            let found = manifest(client, &digest, child.media_type().as_ref()).await?;
            complete(client, &found).await?.then_some(found)
        } else {
            None
        };
        left.extend(
            found
                .iter()
                .map(Manifest::links)
                .collect::<Result<Vec<_>>>()?
                .into_iter()
                .flat_map(|it| it.manifests),
        );
        known.insert(digest, found);
    }
    let graph = Graph::of(root, |child| Ok(known.get(&child.digest().to_string()).cloned().flatten()))?;
    if graph.blobs.is_empty() {
        return Err(Fault::Incomplete(format!("containerd has no platform of {}", image.name)));
    }
    Ok(graph)
}

/// Whether containerd has all blobs that a manifest names. An image that was pulled for one host has the manifests of all.
async fn complete(client: &Client, manifest: &Manifest) -> Result<bool> {
    let links = manifest.links()?;
    for blob in links.config.iter().chain(&links.layers).chain(&links.blobs) {
        if !client.has(blob.digest().as_ref()).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn manifest(client: &Client, digest: &str, media_type: &str) -> Result<Manifest> {
    Ok(Manifest::new(media_type.to_owned(), client.document(digest).await?))
}
