//! Storing artifacts beside an image that is there already.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;
use serde_json::Value;

use super::artifact::{Artifact, Blobs};
use super::cosign;
use crate::digest::{Measured, MeteredWriter};
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::located::Located;
use crate::names;
use crate::sink;
use crate::source::{Source, is_index};
use crate::timestamp::Timestamp;

/// An image of an archive or a layout, opened.
pub(super) struct Chosen<'a> {
    pub(super) source: &'a Source,
    pub(super) path: &'a Path,
    /// Its entry in `index.json`.
    pub(super) entry: Descriptor,
}

impl<'a> Chosen<'a> {
    /// The image of this name, or the only one.
    pub(super) fn of(source: &'a Source, path: &'a Path, name: Option<&str>) -> Result<Self> {
        let entry = Located::new(path, name).entry(source)?;
        Ok(Self { source, path, entry })
    }

    pub(super) fn digest(&self) -> String {
        self.entry.digest().to_string()
    }

    /// Its name without the tag.
    pub(super) fn repository(&self) -> String {
        let name = names::of(&self.entry).unwrap_or_default();
        match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
            _ => name.to_owned(),
        }
    }

    /// Stores artifacts beside it, there or in `output`, in place of those with the digests in `replaced`.
    pub(super) fn attach(
        &self,
        artifacts: &[Artifact],
        replaced: Vec<String>,
        output: Option<&Path>,
    ) -> Result<()> {
        let output: PathBuf = output.unwrap_or(self.path).to_owned();
        let write = |source| Error::Write { path: output.clone(), source };
        let mut sink = sink::create(&output, Timestamp::from_env()?.seconds())?;
        let mut blobs = Blobs::new(sink.as_mut());
        let (mut beside, mut docker) = (Vec::new(), Value::Null);
        if output != self.path || !sink::is_layout(&output) {
            self.copy(&mut blobs, &output)?;
            let others = self.source.index()?.manifests().clone();
            let is_other =
                |it: &Descriptor| *it != self.entry && !replaced.contains(&it.digest().to_string());
            beside.extend(others.into_iter().filter(is_other));
            docker = self.source.docker_manifest()?.unwrap_or_default();
        }
        for artifact in artifacts {
            let entry = artifact.store(&mut blobs, &self.entry).map_err(write)?;
            beside.retain(|it| it.digest() != entry.digest());
            beside.push(entry);
        }
        let entry = self.marked();
        sink.commit(Stored { entry, beside, replaced, platforms: Vec::new(), docker })
    }

    /// Its entry with the mark by which cosign finds it in a layout.
    fn marked(&self) -> Descriptor {
        let mut entry = self.entry.clone();
        let kind = if is_index(entry.media_type()) { cosign::KIND_INDEX } else { cosign::KIND_IMAGE };
        let mut annotations: HashMap<_, _> = entry.annotations().clone().unwrap_or_default();
        annotations.insert(cosign::KIND.to_owned(), kind.to_owned());
        entry.set_annotations(Some(annotations));
        entry
    }

    /// Copies all blobs, checked.
    fn copy(&self, blobs: &mut Blobs<'_>, output: &Path) -> Result<()> {
        let write = |source| Error::Write { path: output.to_owned(), source };
        for hex in self.source.blobs()? {
            let (mut content, _) = self.source.stored(&hex)?;
            blobs.sink.begin().map_err(write)?;
            let mut metered = MeteredWriter::new(&mut *blobs.sink);
            io::copy(&mut content, &mut metered).map_err(write)?;
            let found: Measured = metered.finish().1;
            if found.digest.digest() != hex {
                let found = found.digest.digest();
                return Err(Error::Damaged(format!(
                    "the content of blob sha256:{hex} has the digest sha256:{found}"
                )));
            }
            blobs.sink.end(&found).map_err(write)?;
            blobs.known.insert(hex);
        }
        Ok(())
    }
}
