//! An image that something is made of or compared with: its documents, and its layers applied.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use micrun_firmware::Firmware;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};

use crate::checked::{self, fault};
use crate::error::{Error, Result};
use crate::layers::{Budget, Stack};
use crate::located::Located;
use crate::names::{self, ImageName};
use crate::platform::Host;
use crate::source::{Source, is_index};
use crate::view::View;

/// Manifests of one image that are read.
const MAX_MANIFESTS: usize = 256;

/// One image of an archive or a layout, read to its last byte.
pub(crate) struct Base<'a> {
    source: &'a Source,
    /// What the name stands for.
    pub(crate) entry: Descriptor,
    /// The index that the entry names, if it names one.
    pub(crate) index: Option<ImageIndex>,
    /// The same image for each of its platforms. All have the same layers.
    pub(crate) platforms: Vec<Platform>,
    /// What a container sees.
    pub(crate) stack: Stack,
    /// What each layer changes, from the lowest on.
    pub(crate) changes: Vec<Vec<crate::layers::Change>>,
    /// What fetching files may still cost.
    for_files: RefCell<Budget>,
}

/// An image for one platform.
pub(crate) struct Platform {
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: ImageManifest,
    pub(crate) config: ImageConfiguration,
}

impl<'a> Base<'a> {
    /// Reads the image of this name, or the only one there is.
    pub(crate) fn read(source: &'a Source, path: &Path, name: Option<&str>) -> Result<Self> {
        let entry = Located::new(path, name).entry(source)?;
        let index =
            is_index(entry.media_type()).then(|| source.document::<ImageIndex>(&entry)).transpose()?;
        let manifests = match &index {
            Some(index) => index.manifests().iter().filter(|it| !is_attestation(it)).cloned().collect(),
            None => vec![entry.clone()],
        };
        let platforms: Vec<_> =
            manifests.iter().take(MAX_MANIFESTS).map(|it| platform(source, it)).collect::<Result<_>>()?;
        let Some((first, others)) = platforms.split_first() else {
            return Err(Error::Damaged(format!("the index {} lists no image", entry.digest())));
        };
        if others.iter().any(|it| it.config.rootfs() != first.config.rootfs()) {
            return Err(Error::NotImage {
                path: path.to_owned(),
                reason: "its platforms have different layers, so it is no image of one firmware".to_owned(),
            });
        }
        let mut base = Self {
            source,
            entry,
            index,
            platforms,
            stack: Stack::default(),
            changes: Vec::new(),
            for_files: RefCell::new(Budget::for_files()),
        };
        base.apply()?;
        Ok(base)
    }

    /// The layers, from the lowest on.
    pub(crate) fn layers(&self) -> &[Descriptor] {
        self.platforms[0].manifest.layers()
    }

    /// What each layer is unpacked, from the lowest on.
    pub(crate) fn diff_ids(&self) -> &[String] {
        self.platforms[0].config.rootfs().diff_ids()
    }

    /// The name that it was found by, if it has one.
    pub(crate) fn name(&self) -> Option<&str> {
        names::of(&self.entry)
    }

    /// What a container sees, as a root file system for the shim's own code.
    pub(crate) fn view(&self) -> View<'_> {
        View {
            source: self.source,
            layers: self.layers(),
            tree: self.stack.tree(),
            own: &[],
            budget: &self.for_files,
        }
    }

    /// What a shim would run: one firmware, or that of each board, by the board's name.
    pub(crate) fn firmwares(&self) -> Result<Vec<(Option<String>, Firmware)>> {
        let (view, nothing) = (self.view(), BTreeMap::new());
        let boards = Firmware::boards(&view)?;
        if boards.is_empty() {
            return Ok(vec![(None, Firmware::resolve(&view, &nothing)?)]);
        }
        let of_board = |board: String| {
            let firmware = Firmware::resolve_board(&board, &view, &nothing)?;
            Ok((Some(board), firmware))
        };
        boards.into_iter().map(of_board).collect()
    }

    /// The blobs of which the image consists, each once, with their sizes.
    pub(crate) fn blobs(&self) -> BTreeMap<String, u64> {
        let manifests = self.platforms.iter().flat_map(|platform| {
            let layers = platform.manifest.layers().iter();
            layers.chain([platform.manifest.config(), &platform.descriptor])
        });
        manifests.chain([&self.entry]).map(|it| (it.digest().to_string(), it.size())).collect()
    }

    fn apply(&mut self) -> Result<()> {
        let layers = self.layers().to_vec();
        let diff_ids = self.platforms[0].config.rootfs().diff_ids().clone();
        if layers.len() != diff_ids.len() {
            let (layers, ids) = (layers.len(), diff_ids.len());
            return Err(Error::Damaged(format!("it has {layers} layers, but its config has {ids} diff ids")));
        }
        let mut budget = Budget::for_an_image();
        for (number, (descriptor, diff_id)) in layers.iter().zip(&diff_ids).enumerate() {
            let layer = checked::layer(self.source, number, descriptor, diff_id, &mut budget)?;
            let changes =
                self.stack.push(layer, &mut budget).map_err(|e| fault(self.source, descriptor, e))?;
            self.changes.push(changes);
        }
        Ok(())
    }

    /// What an error of reading a layer says of the image.
    pub(crate) fn fault(&self, descriptor: &Descriptor, error: io::Error) -> Error {
        fault(self.source, descriptor, error)
    }

    /// The tar inside a layer.
    pub(crate) fn tar<'b>(&'b self, descriptor: &'b Descriptor) -> io::Result<Box<dyn Read + 'b>> {
        checked::tar(self.source, descriptor)
    }

    /// A blob of the image as it is stored.
    pub(crate) fn blob<'b>(&'b self, descriptor: &'b Descriptor) -> Result<crate::source::Blob<'b>> {
        self.source.blob(descriptor)
    }
}

/// Where an image that is made of `base` goes: a layout gets it beside the old one.
pub(crate) fn default_output(base: &Path, name: &ImageName) -> PathBuf {
    if base.is_dir() { base.to_owned() } else { PathBuf::from(format!("{}.tar", name.short())) }
}

fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.platform().as_ref().is_some_and(|it| Host::from(it).is_unknown())
}

fn platform(source: &Source, descriptor: &Descriptor) -> Result<Platform> {
    let manifest: ImageManifest = source.document(descriptor)?;
    let config = source.document(manifest.config())?;
    Ok(Platform { descriptor: descriptor.clone(), manifest, config })
}
