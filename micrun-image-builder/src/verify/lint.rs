//! The documents of an image and every blob, each by itself: what image-spec demands of them.
//!
//! <https://github.com/opencontainers/image-spec>: `manifest.md`, `image-index.md`, `config.md`, `descriptor.md`.

use std::collections::BTreeSet;

use oci_spec::image::Descriptor;
use serde_json::Value;

use super::findings::Findings;
use crate::error::{Error, Result};
use crate::source::{Blob, Source};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const DOCKER: &str = "application/vnd.docker.";
/// An index may list indexes; nobody nests them deeper.
const MAX_DEPTH: usize = 3;
/// Documents of one image that are looked at.
const MAX_DOCUMENTS: usize = 1024;

/// Looks at all that an entry of `index.json` leads to.
pub(super) struct Lint<'a> {
    pub(super) source: &'a Source,
    pub(super) findings: &'a mut Findings,
    /// The digests of what was looked at.
    seen: BTreeSet<String>,
}

impl<'a> Lint<'a> {
    pub(super) fn new(source: &'a Source, findings: &'a mut Findings) -> Self {
        Self { source, findings, seen: BTreeSet::new() }
    }

    pub(super) fn entry(&mut self, descriptor: &Descriptor) {
        self.document(descriptor, 0);
    }

    fn document(&mut self, descriptor: &Descriptor, depth: usize) {
        let digest = descriptor.digest().to_string();
        if depth > MAX_DEPTH || self.seen.len() > MAX_DOCUMENTS || !self.seen.insert(digest.clone()) {
            return;
        }
        let Some(document) = self.read(descriptor) else { return };
        if document["schemaVersion"] != 2 {
            self.findings.violation(&digest, "its schemaVersion is not 2");
        }
        let said = descriptor.media_type().to_string();
        match document["mediaType"].as_str() {
            None => self.findings.warning(&digest, "it does not say its mediaType, as image-spec asks"),
            Some(own) if own != said => self.findings.violation(
                &digest,
                format!("it is a {own:?}, but its descriptor says {said:?}: containerd refuses it"),
            ),
            Some(_) => {}
        }
        if said.starts_with(DOCKER) {
            self.findings.note(&digest, "it is a document of Docker's, not of OCI's");
        }
        self.annotations(&digest, &document["annotations"]);
        if document["manifests"].is_array() || said == INDEX {
            self.index(&digest, &document, depth);
        } else if said == MANIFEST || said.starts_with(DOCKER) {
            self.manifest(&digest, &document);
        }
    }

    fn index(&mut self, digest: &str, document: &Value, depth: usize) {
        let children = self.descriptors(digest, "manifests", &document["manifests"]);
        if children.len() > 1 && children.iter().any(|it| it.platform().is_none()) {
            let message = "it lists a manifest without a platform: programs choose by its place in the list";
            self.findings.warning(digest, message);
        }
        for child in &children {
            self.document(child, depth + 1);
        }
    }

    fn manifest(&mut self, digest: &str, document: &Value) {
        let layers = self.descriptors(digest, "layers", &document["layers"]);
        let config = self.descriptors(digest, "config", &Value::Array(vec![document["config"].clone()]));
        if layers.is_empty() {
            self.findings.warning(digest, "it has no layer");
        }
        let is_image = config.iter().any(|it| {
            let media_type = it.media_type().to_string();
            media_type == CONFIG || media_type.starts_with(DOCKER)
        });
        for layer in &layers {
            let media_type = layer.media_type().to_string();
            if media_type.contains("nondistributable") {
                self.findings
                    .warning(layer.digest(), "only its vendor may distribute it: registries lack it");
            } else if is_image && !(media_type.starts_with(LAYER) || media_type.starts_with(DOCKER)) {
                self.findings.violation(layer.digest(), format!("containerd unpacks no {media_type:?}"));
            }
        }
        for config in config {
            if is_image
                && self.seen.insert(config.digest().to_string())
                && let Some(document) = self.read(&config)
            {
                self.config(&config, &document, layers.len());
            } else if !is_image {
                self.blob(&config);
            }
        }
        for layer in &layers {
            self.blob(layer);
        }
    }

    fn config(&mut self, descriptor: &Descriptor, document: &Value, layers: usize) {
        let digest = descriptor.digest();
        for key in ["architecture", "os"] {
            if document[key].as_str().is_none_or(str::is_empty) {
                self.findings.violation(digest, format!("it does not say {key:?}"));
            }
        }
        if document["rootfs"]["type"] != "layers" {
            self.findings.violation(digest, "its rootfs is not of the type \"layers\"");
        }
        let diff_ids = document["rootfs"]["diff_ids"].as_array().map_or(0, Vec::len);
        if diff_ids != layers {
            self.findings
                .violation(digest, format!("it has {diff_ids} diff ids, but the image has {layers} layers"));
        }
        if let Some(history) = document["history"].as_array() {
            let full = history.iter().filter(|it| it["empty_layer"] != true).count();
            if full != layers {
                let message = format!("its history tells of {full} layers, but the image has {layers}");
                self.findings.warning(digest, message);
            }
        }
        let created = document["created"].as_str();
        if created.is_some_and(|it| humantime::parse_rfc3339_weak(it).is_err() && !has_offset(it)) {
            self.findings.warning(digest, "the time it was created is not as RFC 3339 writes times");
        }
    }

    /// Reads a blob to its last byte.
    fn blob(&mut self, descriptor: &Descriptor) {
        if self.seen.insert(descriptor.digest().to_string())
            && let Err(error) = self.source.blob(descriptor).and_then(Blob::verify)
        {
            self.unread(descriptor, &error);
        }
    }

    fn read(&mut self, descriptor: &Descriptor) -> Option<Value> {
        let read: Result<Value> = self.source.document(descriptor);
        read.map_err(|error| self.unread(descriptor, &error)).ok()
    }

    /// What is not here is not damaged: another platform's part may be left out.
    fn unread(&mut self, descriptor: &Descriptor, error: &Error) {
        match error {
            Error::Incomplete(reason) => self.findings.warning(descriptor.digest(), reason),
            error => self.findings.error(descriptor.digest(), error),
        }
    }

    fn descriptors(&mut self, digest: &str, field: &str, list: &Value) -> Vec<Descriptor> {
        let Some(list) = list.as_array() else {
            self.findings.violation(digest, format!("it has no list {field:?}"));
            return Vec::new();
        };
        let mut descriptors = Vec::new();
        for value in list.iter().take(MAX_DOCUMENTS) {
            self.annotations(digest, &value["annotations"]);
            match serde_json::from_value::<Descriptor>(value.clone()) {
                Ok(descriptor) => descriptors.push(descriptor),
                Err(error) => self.findings.violation(digest, format!("in {field:?}: {error}")),
            }
        }
        descriptors
    }

    fn annotations(&mut self, digest: &str, annotations: &Value) {
        let map = annotations.as_object();
        if !annotations.is_null() && map.is_none_or(|it| it.values().any(|value| !value.is_string())) {
            self.findings.violation(digest, "its annotations are not names with texts");
        }
        if map.is_some_and(|it| it.contains_key("")) {
            self.findings.violation(digest, "an annotation has no name");
        }
    }
}

/// Whether a time ends in an offset such as `+02:00`, which `humantime` does not read.
fn has_offset(time: &str) -> bool {
    let Some((start, offset)) = time.len().checked_sub(6).and_then(|at| time.split_at_checked(at)) else {
        return false;
    };
    let digits = offset.bytes().enumerate().all(|(at, byte)| match at {
        0 => matches!(byte, b'+' | b'-'),
        3 => byte == b':',
        _ => byte.is_ascii_digit(),
    });
    digits && humantime::parse_rfc3339_weak(&format!("{start}Z")).is_ok()
}
