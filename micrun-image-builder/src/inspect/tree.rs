//! From `index.json` to what each image holds: manifests with the same layers are one content.

use std::collections::{BTreeMap, HashMap, HashSet};

use micrun_firmware::annotations::LAYER_RECORD;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde::de::DeserializeOwned;

use super::Wanted;
use super::beside::{Beside, Verdict};
use crate::checked::packing;
use crate::error::{Error, Result};
use crate::layers::{Budget, Packing};
use crate::names;
use crate::platform::Host;
use crate::source::{Source, is_image_config, is_index, is_manifest};

/// An index may list indexes; nobody nests them deeper.
const MAX_DEPTH: usize = 3;
/// Manifests of one image that are looked at.
const MAX_MANIFESTS: usize = 256;

/// An entry of `index.json`.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) contents: Vec<Content>,
    pub(super) beside: Vec<Beside>,
}

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

/// What tells the layers of a content from those of others.
pub(super) type Key = Vec<String>;

impl Content {
    pub(super) fn key(&self) -> Key {
        key(&self.layers, &self.diff_ids)
    }
}

fn key(layers: &[Descriptor], diff_ids: &[String]) -> Key {
    let layers = layers.iter().map(|it| {
        let record = it.annotations().as_ref().and_then(|it| it.get(LAYER_RECORD));
        format!("{} {} {} {record:?}", it.digest(), it.size(), it.media_type())
    });
    layers.chain(diff_ids.iter().cloned()).collect()
}

/// A manifest and the host it is for.
pub(super) struct Listed {
    pub(super) host: Host,
    pub(super) manifest: String,
    pub(super) config: String,
}

/// Everything wanted that the image's `index.json` names. Each entry has a content, unless it is an artifact.
pub(super) fn entries(source: &Source, wanted: Wanted<'_>, budget: &mut Budget) -> Result<Vec<Entry>> {
    let index = source.index()?;
    let mut reader = Reader { source, wanted, budget, verified: HashSet::new() };
    let mut entries = Vec::new();
    for descriptor in wanted.of(index.manifests())? {
        entries.push(reader.entry(descriptor)?);
    }
    Ok(entries)
}

struct Reader<'a> {
    source: &'a Source,
    wanted: Wanted<'a>,
    budget: &'a mut Budget,
    /// Digests of blobs of artifacts. A blob is read once, however often it is named.
    verified: HashSet<String>,
}

impl Reader<'_> {
    fn entry(&mut self, descriptor: &Descriptor) -> Result<Entry> {
        let mut open =
            Open { named: descriptor, entry: Entry::default(), keys: HashMap::new(), hosts: Vec::new() };
        let mut manifests = 0;
        self.listed(descriptor, 0, &mut manifests, &mut open)?;
        let Open { entry, hosts, .. } = open;
        if entry.contents.is_empty() {
            if let Some(image) = entry.beside.iter().find(|it| it.is_image) {
                return Err(image.clone().into_error());
            }
            if let (Some(platform), [_, ..]) = (self.wanted.platform, &hosts[..]) {
                return Err(Error::Argument {
                    what: "platform",
                    value: platform.to_string(),
                    reason: format!("the image is for {}", hosts.join(", ")),
                });
            }
        }
        Ok(entry)
    }

    /// Something that an index lists, or the entry itself.
    fn listed(
        &mut self,
        descriptor: &Descriptor,
        depth: usize,
        manifests: &mut usize,
        open: &mut Open<'_>,
    ) -> Result<()> {
        *manifests += 1;
        if depth > MAX_DEPTH || *manifests > MAX_MANIFESTS {
            return Err(Error::Unreadable(format!(
                "{} is below more than {MAX_DEPTH} indexes or has more than {MAX_MANIFESTS} manifests",
                open.named.digest()
            )));
        }
        match descriptor.media_type() {
            it if is_manifest(it) => self.manifest(descriptor, open),
            it if is_index(it) => self.index(descriptor, depth, manifests, open),
            other => self.artifact(descriptor, other.to_string(), [], open),
        }
    }

    fn index(
        &mut self,
        descriptor: &Descriptor,
        depth: usize,
        manifests: &mut usize,
        open: &mut Open<'_>,
    ) -> Result<()> {
        let Some(index) = self.document::<ImageIndex>(descriptor, descriptor, open)? else { return Ok(()) };
        index.manifests().iter().try_for_each(|child| self.listed(child, depth + 1, manifests, open))
    }

    /// Reads a manifest and its config, and adds them to the content with the same layers.
    fn manifest(&mut self, descriptor: &Descriptor, open: &mut Open<'_>) -> Result<()> {
        let listed_for = descriptor.platform().as_ref().map(Host::from);
        if listed_for.as_ref().is_some_and(|host| !host.is_unknown() && !open.wants(self.wanted, host)) {
            return Ok(());
        }
        let Some(manifest) = self.document::<ImageManifest>(descriptor, descriptor, open)? else {
            return Ok(());
        };
        if let Some(kind) = artifact_type(descriptor, &manifest) {
            let blobs = [manifest.config()].into_iter().chain(manifest.layers());
            return self.artifact(descriptor, kind, blobs, open);
        }
        let Some(config) = self.document::<ImageConfiguration>(manifest.config(), descriptor, open)? else {
            return Ok(());
        };
        let host = Host::from(&config);
        if let Some(listed_for) = listed_for
            && !listed_for.is_same(&host)
        {
            return Err(Error::Damaged(format!(
                "manifest {} is listed for {listed_for} but its config is for {host}",
                descriptor.digest(),
            )));
        }
        if !open.wants(self.wanted, &host) {
            return Ok(());
        }
        for layer in manifest.layers() {
            if !self.source.has(layer)? {
                let reason = format!("the blob {} is missing", layer.digest());
                open.beside(descriptor, Verdict::Incomplete, reason, true);
                return Ok(());
            }
            if let Some(reason) = unreadable(layer) {
                self.verify(layer)?;
                open.beside(descriptor, Verdict::Unreadable, reason, true);
                return Ok(());
            }
        }
        open.add(descriptor, &manifest, &config, host)
    }

    /// Something that is stored as images are, and is none.
    fn artifact<'b>(
        &mut self,
        descriptor: &'b Descriptor,
        kind: String,
        blobs: impl IntoIterator<Item = &'b Descriptor>,
        open: &mut Open<'_>,
    ) -> Result<()> {
        for blob in [descriptor].into_iter().chain(blobs) {
            if !self.source.has(blob)? {
                let reason = format!("the blob {} of {kind} is missing", blob.digest());
                open.beside(descriptor, Verdict::Incomplete, reason, false);
                return Ok(());
            }
            self.verify(blob)?;
        }
        open.beside(descriptor, Verdict::Artifact, kind, false);
        Ok(())
    }

    /// A document that belongs to `manifest`. `None` if it is not here, which is noted.
    fn document<T: DeserializeOwned>(
        &mut self,
        descriptor: &Descriptor,
        manifest: &Descriptor,
        open: &mut Open<'_>,
    ) -> Result<Option<T>> {
        match self.source.counted(descriptor, self.budget) {
            Ok(document) => Ok(Some(document)),
            Err(Error::Incomplete(reason)) => {
                let of_host = manifest.platform().as_ref().is_none_or(|it| !Host::from(it).is_unknown());
                let is_image = of_host && manifest.artifact_type().is_none();
                open.beside(manifest, Verdict::Incomplete, reason, is_image);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn verify(&mut self, blob: &Descriptor) -> Result<()> {
        if self.verified.insert(blob.digest().to_string()) {
            self.source.blob(blob)?.verify()?;
        }
        Ok(())
    }
}

/// An entry that is being read.
struct Open<'a> {
    named: &'a Descriptor,
    entry: Entry,
    /// Where each content stands.
    keys: HashMap<Key, usize>,
    /// The hosts that it is for, wanted or not.
    hosts: Vec<String>,
}

impl Open<'_> {
    fn wants(&mut self, wanted: Wanted<'_>, host: &Host) -> bool {
        let shown = host.to_string();
        if !self.hosts.contains(&shown) {
            self.hosts.push(shown);
        }
        wanted.platform.is_none_or(|it| it.is_same(host))
    }

    fn beside(&mut self, descriptor: &Descriptor, verdict: Verdict, reason: String, is_image: bool) {
        let host = descriptor.platform().as_ref().map(Host::from).filter(|it| !it.is_unknown());
        self.entry.beside.push(Beside {
            name: names::of(self.named).map(str::to_owned),
            digest: descriptor.digest().to_string(),
            platform: host.map(|it| it.to_string()),
            verdict,
            reason,
            is_image,
        });
    }

    fn add(
        &mut self,
        descriptor: &Descriptor,
        manifest: &ImageManifest,
        config: &ImageConfiguration,
        host: Host,
    ) -> Result<()> {
        let diff_ids = config.rootfs().diff_ids();
        if diff_ids.len() != manifest.layers().len() {
            return Err(Error::Damaged(format!(
                "manifest {} has {} layers, but its config has {} diff ids",
                descriptor.digest(),
                manifest.layers().len(),
                diff_ids.len()
            )));
        }
        let run = config.config().as_ref();
        let has_command = run.is_some_and(|it| it.cmd().is_some() || it.entrypoint().is_some());
        let listed = Listed {
            host,
            manifest: descriptor.digest().to_string(),
            config: manifest.config().digest().to_string(),
        };
        let contents = &mut self.entry.contents;
        let at = *self.keys.entry(key(manifest.layers(), diff_ids)).or_insert(contents.len());
        if let Some(same) = contents.get_mut(at) {
            same.platforms.push(listed);
            same.has_command &= has_command;
            return Ok(());
        }
        contents.push(Content {
            name: names::of(self.named).map(str::to_owned),
            digest: self.named.digest().to_string(),
            platforms: vec![listed],
            layers: manifest.layers().clone(),
            diff_ids: diff_ids.clone(),
            annotations: manifest.annotations().clone().into_iter().flatten().collect(),
            labels: run.and_then(|it| it.labels().clone()).into_iter().flatten().collect(),
            has_command,
        });
        Ok(())
    }
}

/// What kind of artifact a manifest is; `None` if it is an image.
///
/// An artifact of today has another config (image-spec, manifest.md). What cosign and `BuildKit` attach has the config of
/// an image, but layers that are none.
fn artifact_type(descriptor: &Descriptor, manifest: &ImageManifest) -> Option<String> {
    let config = manifest.config().media_type();
    let layers = manifest.layers();
    let is_config = is_image_config(config);
    let no_layers = !layers.is_empty() && layers.iter().all(is_no_layer);
    let for_nobody = descriptor.platform().as_ref().is_some_and(|it| Host::from(it).is_unknown());
    if is_config && !no_layers && !for_nobody {
        return None;
    }
    let said = manifest.artifact_type().as_ref().or(descriptor.artifact_type().as_ref());
    let of_layers = layers.first().map(Descriptor::media_type).filter(|_| is_config);
    Some(said.or(of_layers).unwrap_or(config).to_string())
}

fn is_no_layer(layer: &Descriptor) -> bool {
    packing(layer) == Packing::Unknown && !layer.media_type().as_ref().contains(".tar")
}

/// Why a layer cannot be unpacked, by its media type.
fn unreadable(layer: &Descriptor) -> Option<String> {
    let (digest, media_type) = (layer.digest(), layer.media_type());
    match packing(layer) {
        Packing::Plain | Packing::ByContent => None,
        Packing::Encrypted => Some(format!("layer {digest} is encrypted ({media_type})")),
        Packing::Unknown => Some(format!("layer {digest} is {media_type}, which containerd does not unpack")),
    }
}
