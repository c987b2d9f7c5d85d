//! What is about an image at a registry: signatures, SBOMs, provenance.
//!
//! A registry lists them if it knows the referrers API. For one that does not, the client keeps the list, as an index
//! under the tag `sha256-<hex>` (distribution-spec 1.1, "Referrers Tag Schema"). cosign's older signatures are under
//! the tag `sha256-<hex>.sig`.

use std::collections::{HashMap, HashSet};

use oci_distribution::manifest::OCI_IMAGE_INDEX_MEDIA_TYPE;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest, MediaType};
use reqwest::header::{ACCEPT, LINK};
use reqwest::{Method, StatusCode, Url};

use super::error::Error;
use super::pull::graph;
use super::reference::Version;
use super::repository::{Repository, next_page};
use super::retry::repeat;
use super::transport::{Request, shown};
use crate::error::{Error as Fault, Result};
use crate::graph::{Graph, Manifest};
use crate::image::descriptor;
use crate::json;
use crate::layers::Budget;
use crate::provenance::{self, Attached};
use crate::source::Source;

/// Artifacts about one image that are looked at.
const MOST: usize = 256;
/// What a registry without the API answers.
const UNKNOWN: [StatusCode; 3] =
    [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED, StatusCode::BAD_REQUEST];

/// An artifact that is about an image.
pub(super) struct Referrer {
    /// The digest of what it is about.
    subject: String,
    /// Its entry in lists.
    pub(super) entry: Descriptor,
    /// Those of its manifest.
    annotations: Option<HashMap<String, String>>,
    /// It, and what it leads to.
    pub(super) graph: Graph,
}

impl Referrer {
    fn of(subject: &str, graph: Graph) -> Result<Self> {
        let Some(manifest) = graph.manifests.last() else {
            return Err(Fault::Damaged("an artifact without a manifest".to_owned()));
        };
        // What a list says of an artifact is not taken: it could give it the name of an image.
        let mut entry = descriptor(MediaType::from(manifest.media_type.as_str()), &manifest.blob);
        let mut annotations = None;
        if let Ok(read) = serde_json::from_slice::<ImageManifest>(&manifest.bytes) {
            annotations.clone_from(read.annotations());
            let own = read.artifact_type().clone();
            entry.set_artifact_type(Some(own.unwrap_or_else(|| read.config().media_type().clone())));
        }
        Ok(Self { subject: subject.to_owned(), entry, annotations, graph })
    }
}

/// What is stored beside an image in an archive or a layout.
pub(super) fn stored(source: &Source, image: &Graph) -> Result<Vec<Referrer>> {
    let mut found = Vec::new();
    let mut all = Attached::all(source, &mut Budget::for_an_image())?;
    for manifest in &image.manifests {
        let subject = manifest.digest();
        for attached in all.remove(&subject).unwrap_or_default() {
            found.push(Referrer::of(&subject, Graph::read(source, attached.entry())?.whole()?)?);
        }
    }
    Ok(found)
}

/// What a registry has about an image.
pub(super) fn listed(repository: &Repository<'_>, image: &Graph) -> Result<Vec<Referrer>> {
    let mut known: HashSet<_> = image.manifests.iter().map(Manifest::digest).collect();
    let mut found = Vec::new();
    for manifest in &image.manifests {
        let subject = manifest.digest();
        let mut roots = Vec::new();
        for entry in repository.referrers(&subject)?.iter().take(MOST) {
            if known.insert(entry.digest().to_string()) {
                let mut root = repository.manifest(&Version::Digest(entry.digest().clone()))?;
                root.media_type = entry.media_type().to_string();
                roots.push(root);
            }
        }
        let signatures = repository.tagged(&format!("{}.sig", tag(&subject)))?;
        roots.extend(signatures.filter(|it| known.insert(it.digest())));
        for root in roots {
            found.push(Referrer::of(&subject, graph(repository, root)?)?);
        }
    }
    Ok(found)
}

/// Sends the manifests of an artifact whose blobs are there.
pub(super) fn send(repository: &Repository<'_>, referrer: &Referrer) -> Result<()> {
    let mut listed = false;
    for manifest in &referrer.graph.manifests {
        listed = repository.put_manifest(&manifest.digest(), &manifest.media_type, &manifest.bytes)?;
    }
    let Some(root) = referrer.graph.manifests.last() else { return Ok(()) };
    let is_about = serde_json::from_slice::<ImageManifest>(&root.bytes).ok();
    let is_about = is_about.and_then(|it| it.subject().clone());
    if !listed && is_about.is_some() {
        list(repository, referrer)?;
    }
    let is_signature = |it: &MediaType| provenance::is_signatures(it.as_ref());
    if is_about.is_none() || referrer.entry.artifact_type().as_ref().is_some_and(is_signature) {
        sign(repository, &format!("{}.sig", tag(&referrer.subject)), root)?;
    }
    Ok(())
}

/// Adds an artifact to the list that the registry does not keep itself.
fn list(repository: &Repository<'_>, referrer: &Referrer) -> Result<()> {
    let tag = tag(&referrer.subject);
    let mut index = ImageIndex::default();
    index.set_media_type(Some(MediaType::ImageIndex));
    if let Some(found) = repository.tagged(&tag)? {
        index = read(&found)?;
    }
    let mut entries = index.manifests().clone();
    if entries.iter().any(|it| it.digest() == referrer.entry.digest()) {
        return Ok(());
    }
    // A list repeats what the manifest says, so that clients can choose without fetching it.
    let mut entry = referrer.entry.clone();
    entry.set_annotations(referrer.annotations.clone());
    entries.push(entry);
    index.set_manifests(entries);
    repository.put_manifest(&tag, OCI_IMAGE_INDEX_MEDIA_TYPE, &json::canonical(&index).into())?;
    Ok(())
}

/// Puts signatures where cosign before version 3 looks for them, beside those that are there.
fn sign(repository: &Repository<'_>, tag: &str, ours: &Manifest) -> Result<()> {
    let Some(theirs) = repository.tagged(tag)? else {
        return repository.put_manifest(tag, &ours.media_type, &ours.bytes).map(drop);
    };
    let mut manifest: ImageManifest = read(ours)?;
    let theirs: ImageManifest = read(&theirs)?;
    let mut layers = theirs.layers().clone();
    let new: Vec<_> = manifest.layers().iter().filter(|it| !layers.contains(it)).cloned().collect();
    if new.is_empty() {
        return Ok(());
    }
    layers.extend(new);
    manifest.set_layers(layers);
    repository.put_manifest(tag, &ours.media_type, &json::canonical(&manifest).into()).map(drop)
}

fn read<T: serde::de::DeserializeOwned>(manifest: &Manifest) -> Result<T> {
    serde_json::from_slice(&manifest.bytes).map_err(|source| Fault::Json { name: manifest.digest(), source })
}

/// The tag that stands for what is about an image.
fn tag(subject: &str) -> String {
    subject.replace(':', "-")
}

impl Repository<'_> {
    /// The entries of what is about a manifest, as the registry or its clients list them.
    fn referrers(&self, subject: &str) -> Result<Vec<Descriptor>> {
        let mut all = Vec::new();
        let mut url = self.url(&format!("referrers/{subject}"))?;
        loop {
            let Some((page, next)) = self.page(&url)? else {
                let index = self.tagged(&tag(subject))?;
                return Ok(match index {
                    Some(index) => read::<ImageIndex>(&index)?.manifests().clone(),
                    None => Vec::new(),
                });
            };
            all.extend(page.manifests().iter().cloned());
            match next {
                Some(next) if next != url && all.len() < MOST => url = next,
                _ => return Ok(all),
            }
        }
    }

    /// A page of the registry's list. `None` if it keeps none.
    fn page(&self, url: &Url) -> Result<Option<(ImageIndex, Option<Url>)>> {
        let request =
            Request::new(Method::GET, url.clone(), &self.scope).header(ACCEPT, OCI_IMAGE_INDEX_MEDIA_TYPE);
        repeat(|| {
            let answer = self.endpoint.send(&request, &UNKNOWN)?;
            if !answer.status().is_success() {
                return Ok(None);
            }
            let next = answer.headers().get(LINK).and_then(|it| next_page(it.to_str().ok()?, url));
            let text = answer.text();
            let named = format!("GET {}", shown(url));
            let text = text.map_err(|source| Error::Network { request: named.clone(), source })?;
            let index = serde_json::from_str(&text).map_err(|e| Error::Protocol {
                request: named,
                reason: format!("it is no list of referrers: {e}"),
            })?;
            Ok(Some((index, next)))
        })
    }

    /// The manifest with a tag, if there is one.
    fn tagged(&self, tag: &str) -> Result<Option<Manifest>> {
        match self.manifest(&Version::Tag(tag.to_owned())) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(Fault::Registry(error)) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The blobs of an image and of what is about it, each once.
pub(super) fn blobs<'a>(image: &'a Graph, referrers: &'a [Referrer]) -> Vec<&'a Descriptor> {
    let mut seen = HashSet::new();
    let all = image.blobs.iter().chain(referrers.iter().flat_map(|it| &it.graph.blobs));
    all.filter(|blob| seen.insert(blob.digest().clone())).collect()
}
