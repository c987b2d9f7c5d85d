//! `import` and `load`: from an archive or a layout to containerd.

use std::collections::HashMap;
use std::io::{self, Read};

use micrun_containerd::api::images::{self, CreateRequest, Image, Response, UpdateRequest};
use micrun_containerd::api::{Descriptor, FieldMask};
use micrun_containerd::{Blob, Client, Error, is_there};
use oci_spec::image::Descriptor as Entry;
use serde_json::json;

use super::args::How;
use super::{labels, unpack};
use crate::error::{Error as Fault, Result};
use crate::graph::{Graph, Manifest};
use crate::located::Located;
use crate::names::{self, ImageName};
use crate::say;
use crate::source::Source;

/// An image of the archive, and its name in containerd.
struct Wanted {
    name: String,
    entry: Entry,
    graph: Graph,
}

/// Imports the images. Gives the text for stdout: a digest for each, or JSON.
pub(super) async fn run(located: &Located, how: &How) -> Result<String> {
    let source = Source::open(&located.path)?;
    let wanted = wanted(&source, located, how)?;
    let place = how.containerd.resolve();
    let mut client = Client::connect(&place).await?;
    let lease = format!("micrun-import-{:x}-{}", nonce(), std::process::id());
    client.lease(&lease).await?;
    let imported = images(&client, &lease, &source, &wanted, how).await;
    // What was sent of an image that did not arrive is gone before anybody is told.
    let released = client.release(&lease, imported.is_err()).await;
    imported?;
    released?;
    for Wanted { name, graph, .. } in &wanted {
        say::usual(format_args!("imported {name} into the namespace {}", place.namespace));
        for missing in &graph.missing {
            say::usual(format_args!("note: {} of {name} is not in the archive", missing.digest()));
        }
    }
    let lines = wanted.iter().map(|it| format!("{}\n", it.entry.digest()));
    if !how.json {
        return Ok(lines.collect());
    }
    let images: Vec<_> =
        wanted.iter().map(|it| json!({"name": it.name, "digest": it.entry.digest().to_string()})).collect();
    Ok(format!("{:#}\n", json!({"namespace": place.namespace, "images": images})))
}

/// The images that are named, and under which name each is to be found.
fn wanted(source: &Source, located: &Located, how: &How) -> Result<Vec<Wanted>> {
    let entries = located.entries(source)?;
    if how.tag.is_some() && entries.len() != 1 {
        return Err(argument("tag", how.tag.as_deref(), "it is for one image; choose it with :NAME"));
    }
    let mut wanted = Vec::new();
    for entry in entries {
        let name = match how.tag.as_deref().or_else(|| names::of(&entry)) {
            Some(name) => ImageName::parse(name)?.full().to_owned(),
            None => {
                return Err(argument(
                    "image",
                    located.path.to_str(),
                    "it has no name; give it one with --tag",
                ));
            }
        };
        let graph = Graph::read(source, &entry)?;
        // Before anything is sent: what is damaged leaves nothing.
        graph.blobs.iter().try_for_each(|blob| verify(source, blob))?;
        wanted.push(Wanted { name, entry, graph });
    }
    Ok(wanted)
}

/// Reads a blob to its end.
fn verify(source: &Source, descriptor: &Entry) -> Result<()> {
    let mut blob = source.blob(descriptor)?;
    io::copy(&mut blob, &mut io::sink()).map_err(|error| source.unreadable(error))?;
    blob.verify()
}

fn argument(what: &'static str, value: Option<&str>, reason: &str) -> Fault {
    Fault::Argument { what, value: value.unwrap_or_default().to_owned(), reason: reason.to_owned() }
}

/// A number that no other import has at the same time.
fn nonce() -> u128 {
    std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_nanos()
}

async fn images(client: &Client, lease: &str, source: &Source, wanted: &[Wanted], how: &How) -> Result<()> {
    for Wanted { name, entry, graph } in wanted {
        for descriptor in &graph.blobs {
            let mut content = source.blob(descriptor)?;
            send(client, lease, descriptor.digest().as_ref(), descriptor.size(), &mut content).await?;
        }
        for manifest in &graph.manifests {
            document(client, lease, manifest).await?;
        }
        if how.unpack {
            unpack::run(client, lease, source, graph, &how.snapshotter).await?;
        }
        create(client, name, entry).await?;
    }
    Ok(())
}

async fn send(client: &Client, lease: &str, digest: &str, size: u64, content: &mut dyn Read) -> Result<()> {
    let blob = Blob { digest: digest.to_owned(), size, labels: HashMap::new(), content };
    let sent = client.put(lease, blob).await?;
    say::verbose(format_args!(
        "blob {digest}, {size} bytes: {}",
        if sent { "sent" } else { "already there" }
    ));
    Ok(())
}

/// Stores a manifest. What it names is there.
async fn document(client: &Client, lease: &str, manifest: &Manifest) -> Result<()> {
    let content = &mut io::Cursor::new(&manifest.bytes);
    let (digest, size, labels) = (manifest.digest(), manifest.blob.size, labels::of(manifest)?);
    client.put(lease, Blob { digest, size, labels, content }).await?;
    Ok(())
}

/// Gives the image its name, which may have been another's.
async fn create(client: &Client, name: &str, entry: &Entry) -> Result<()> {
    let target = Descriptor {
        media_type: entry.media_type().to_string(),
        digest: entry.digest().to_string(),
        size: i64::try_from(entry.size()).unwrap_or(i64::MAX),
        annotations: HashMap::new(),
    };
    let image = Some(Image { name: name.to_owned(), labels: HashMap::new(), target: Some(target) });
    let created: Result<Response, _> =
        client.call(images::CREATE, CreateRequest { image: image.clone() }).await;
    let done = match created {
        Err(status) if is_there(&status) => {
            let update_mask = Some(FieldMask { paths: vec!["target".to_owned()] });
            client.call(images::UPDATE, UpdateRequest { image, update_mask }).await
        }
        other => other,
    };
    Ok(done.map(|_| ()).map_err(|status| Error::refused(format!("name the image {name}"), &status))?)
}
