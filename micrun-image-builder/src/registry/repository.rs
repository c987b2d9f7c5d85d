//! A repository of a registry: its manifests, tags and blobs.

use bytes::Bytes;
use oci_distribution::manifest::{
    IMAGE_MANIFEST_LIST_MEDIA_TYPE, IMAGE_MANIFEST_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE,
    OCI_IMAGE_MEDIA_TYPE,
};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, LINK};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;

use super::error::Error;
use super::reference::Version;
use super::retry::repeat;
use super::transport::{Endpoint, Request, shown};
use crate::error::{Error as Fault, Result};
use crate::graph::Manifest;

/// containerd's limit for a manifest is 8 MiB; an index may list many.
const MAX_MANIFEST: u64 = 16 << 20;

/// By which a registry says that it knows the subject of a manifest (distribution-spec 1.1).
const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// A repository, and what is to be done in it.
pub(super) struct Repository<'a> {
    pub(super) endpoint: &'a Endpoint,
    pub(super) name: String,
    pub(super) scope: String,
}

#[derive(Deserialize)]
struct Tags {
    // Null in an empty repository, at some registries.
    tags: Option<Vec<String>>,
}

impl<'a> Repository<'a> {
    pub(super) fn to_read(endpoint: &'a Endpoint, name: &str) -> Self {
        Self { endpoint, name: name.to_owned(), scope: format!("repository:{name}:pull") }
    }

    pub(super) fn to_write(endpoint: &'a Endpoint, name: &str) -> Self {
        Self { endpoint, name: name.to_owned(), scope: format!("repository:{name}:pull,push") }
    }

    pub(super) fn url(&self, path: &str) -> Result<Url> {
        self.endpoint.url(&format!("{}/{path}", self.name))
    }

    pub(super) fn request(&self, method: Method, path: &str) -> Result<Request<'_>> {
        Ok(Request::new(method, self.url(path)?, &self.scope))
    }

    /// Fetches a manifest. Its digest is computed; one that was asked for must be that.
    pub(super) fn manifest(&self, version: &Version) -> Result<Manifest> {
        repeat(|| {
            let accepted = [
                OCI_IMAGE_INDEX_MEDIA_TYPE,
                OCI_IMAGE_MEDIA_TYPE,
                IMAGE_MANIFEST_LIST_MEDIA_TYPE,
                IMAGE_MANIFEST_MEDIA_TYPE,
            ];
            let request = self
                .request(Method::GET, &format!("manifests/{version}"))?
                .header(ACCEPT, &accepted.join(", "));
            let answer = self.endpoint.send(&request, &[])?;
            let named = || format!("GET {}", shown(&request.url));
            let media_type = answer.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
            let media_type = media_type.unwrap_or(OCI_IMAGE_MEDIA_TYPE).to_owned();
            let too_long =
                || Error::Protocol { request: named(), reason: "the manifest is too long".to_owned() };
            if answer.content_length().is_some_and(|it| it > MAX_MANIFEST) {
                return Err(too_long().into());
            }
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::Read::take(answer, MAX_MANIFEST + 1), &mut bytes)
                .map_err(|source| Error::Cut { request: named(), source })?;
            if bytes.len() as u64 > MAX_MANIFEST {
                return Err(too_long().into());
            }
            let manifest = Manifest::new(media_type, bytes);
            match version {
                Version::Digest(asked) if asked.to_string() != manifest.digest() => Err(Fault::Damaged(
                    format!("{} answered another manifest, {}", named(), manifest.digest()),
                )),
                _ => Ok(manifest),
            }
        })
    }

    /// Whether the repository has this manifest.
    pub(super) fn has_manifest(&self, digest: &str) -> Result<bool> {
        let request = self.request(Method::HEAD, &format!("manifests/{digest}"))?;
        let request = request.header(ACCEPT, "*/*");
        repeat(|| Ok(self.endpoint.send(&request, &[StatusCode::NOT_FOUND])?.status().is_success()))
    }

    /// Stores a manifest under a tag or its digest. Whether the registry lists it among what is about its subject.
    pub(super) fn put_manifest(&self, version: &str, media_type: &str, bytes: &Bytes) -> Result<bool> {
        let request = self.request(Method::PUT, &format!("manifests/{version}"))?;
        let request = request.header(CONTENT_TYPE, media_type).body(bytes.clone());
        repeat(|| Ok(self.endpoint.send(&request, &[])?.headers().contains_key(SUBJECT)))
    }

    /// All tags, page by page.
    pub(super) fn tags(&self) -> Result<Vec<String>> {
        let mut all = Vec::new();
        let mut url = self.url("tags/list")?;
        loop {
            let request = Request::new(Method::GET, url.clone(), &self.scope);
            let (page, next) = repeat(|| {
                let answer = self.endpoint.send(&request, &[])?;
                let next =
                    answer.headers().get(LINK).and_then(|it| next_page(it.to_str().ok()?, &request.url));
                let text = answer.text();
                let named = format!("GET {}", shown(&request.url));
                let text = text.map_err(|source| Error::Network { request: named.clone(), source })?;
                let page: Tags = serde_json::from_str(&text).map_err(|e| Error::Protocol {
                    request: named,
                    reason: format!("it is no list of tags: {e}"),
                })?;
                Ok((page, next))
            })?;
            all.extend(page.tags.unwrap_or_default());
            match next {
                // A page that leads to itself would never end.
                Some(next) if next != url => url = next,
                _ => return Ok(all),
            }
        }
    }
}

/// The address in `Link: <...>; rel="next"`, if it is the same server's.
pub(super) fn next_page(link: &str, from: &Url) -> Option<Url> {
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    let next = from.join(target).ok()?;
    (rest.contains("next") && next.origin() == from.origin()).then_some(next)
}
