//! From `index.json` to what each image holds: manifests with the same layers are one content.

use std::collections::BTreeMap;

use micrun_firmware::annotations::LAYER_RECORD;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest, MediaType};

use crate::error::{Error, Result};
use crate::names;
use crate::platform::Host;
use crate::source::Source;

/// An index may list indexes; nobody nests them deeper.
const MAX_DEPTH: usize = 3;
/// Manifests of one archive that are looked at.
const MAX_MANIFESTS: usize = 256;

/// What a name stands for on some hosts.
pub(super) struct Content {
    pub(super) name: Option<String>,
    /// The digest of what is named: an index or a manifest.
    pub(super) digest: String,
    pub(super) platforms: Vec<Listed>,
    pub(super) layers: Vec<Descriptor>,
    pub(super) diff_ids: Vec<String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) labels: BTreeMap<String, String>,
    /// Whether every config has a command.
    pub(super) has_command: bool,
}

impl Content {
    /// What tells its layers from those of others.
    pub(super) fn key(&self) -> Vec<String> {
        let layers = self.layers.iter().map(|it| {
            let record = it.annotations().as_ref().and_then(|it| it.get(LAYER_RECORD));
            format!("{} {} {record:?}", it.digest(), it.media_type())
        });
        layers.chain(self.diff_ids.clone()).collect()
    }
}

/// A manifest and the host it is for.
pub(super) struct Listed {
    pub(super) host: Host,
    pub(super) manifest: String,
    pub(super) config: String,
}

/// Every image that `index.json` names.
pub(super) fn contents(source: &Source) -> Result<Vec<Content>> {
    let mut contents = Vec::new();
    for entry in source.images()? {
        let mut manifests = Vec::new();
        flatten(source, &entry, 0, &mut manifests)?;
        let mut found: Vec<Content> = Vec::new();
        for descriptor in &manifests {
            add(source, &entry, descriptor, &mut found)?;
        }
        contents.append(&mut found);
    }
    Ok(contents)
}

/// The manifests below an entry.
fn flatten(source: &Source, entry: &Descriptor, depth: usize, manifests: &mut Vec<Descriptor>) -> Result<()> {
    if depth > MAX_DEPTH || manifests.len() >= MAX_MANIFESTS {
        return Err(Error::Damaged(format!(
            "{} is below more than {MAX_DEPTH} indexes or has more than {MAX_MANIFESTS} manifests",
            entry.digest()
        )));
    }
    match entry.media_type() {
        MediaType::ImageManifest => manifests.push(entry.clone()),
        MediaType::Other(docker) if docker == "application/vnd.docker.distribution.manifest.v2+json" => {
            manifests.push(entry.clone());
        }
        MediaType::ImageIndex => {
            let index: ImageIndex = source.document(entry)?;
            for child in index.manifests() {
                // What BuildKit attests about an image hides behind a platform that no host has.
                let attestation =
                    child.platform().as_ref().is_some_and(|it| it.os().to_string() == "unknown");
                if !attestation {
                    flatten(source, child, depth + 1, manifests)?;
                }
            }
        }
        other => {
            return Err(Error::Damaged(format!(
                "{} is neither a manifest nor an index but {other}",
                entry.digest()
            )));
        }
    }
    Ok(())
}

/// Reads a manifest and its config, and adds them to the content with the same layers.
fn add(source: &Source, entry: &Descriptor, descriptor: &Descriptor, found: &mut Vec<Content>) -> Result<()> {
    let manifest: ImageManifest = source.document(descriptor)?;
    let config: ImageConfiguration = source.document(manifest.config())?;
    let diff_ids = config.rootfs().diff_ids();
    if diff_ids.len() != manifest.layers().len() {
        return Err(Error::Damaged(format!(
            "manifest {} has {} layers, but its config has {} diff ids",
            descriptor.digest(),
            manifest.layers().len(),
            diff_ids.len()
        )));
    }
    let host = Host::from(&config);
    if let Some(platform) = descriptor.platform()
        && !Host::from(platform).is_same(&host)
    {
        return Err(Error::Damaged(format!(
            "manifest {} is listed for {} but its config is for {host}",
            descriptor.digest(),
            Host::from(platform)
        )));
    }
    let run = config.config().as_ref();
    let has_command = run.is_some_and(|it| it.cmd().is_some() || it.entrypoint().is_some());
    let listed = Listed {
        host,
        manifest: descriptor.digest().to_string(),
        config: manifest.config().digest().to_string(),
    };
    if let Some(same) =
        found.iter_mut().find(|it| it.layers == *manifest.layers() && it.diff_ids == *diff_ids)
    {
        same.platforms.push(listed);
        same.has_command &= has_command;
        return Ok(());
    }
    found.push(Content {
        name: names::of(entry).map(str::to_owned),
        digest: entry.digest().to_string(),
        platforms: vec![listed],
        layers: manifest.layers().clone(),
        diff_ids: diff_ids.clone(),
        annotations: manifest.annotations().clone().into_iter().flatten().collect(),
        labels: run.and_then(|it| it.labels().clone()).into_iter().flatten().collect(),
        has_command,
    });
    Ok(())
}
