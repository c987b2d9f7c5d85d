//! The file's grammar. Its JSON schema is `docs/micrun.schema.json`; a test compares both.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use micrun_firmware::client_conf::{Cpu, Machine};
use micrun_firmware::{Os, Pedestal};
use serde::Deserialize;
use serde_yaml::Spanned;

use super::value::{Address, BoardName, Mebibytes, Version, Word};
use crate::error::{Error, Result};
use crate::image_path::ImagePath;
use crate::layer::Compression;
use crate::pack::{Arch, Mode};
use crate::platform::Host;
use crate::provenance::{Package, Switch};

/// More than anybody writes by hand.
const MAX_SIZE: u64 = 1 << 20;

/// A `micrun.yaml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[expect(dead_code, reason = "it is checked when it is read")]
    version: Version,
    images: Vec<Spanned<Description>>,
}

/// An image. Each key means what the option of `pack` with its name means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Description {
    /// The image's name.
    pub(super) tag: String,
    /// What every board's firmware is, or the only one; absent where `boards` name others.
    pub(super) firmware: Option<PathBuf>,
    /// The firmware of each board. What stands beside them holds for all.
    #[serde(default)]
    pub(super) boards: BTreeMap<BoardName, Board>,
    pub(super) output: Option<PathBuf>,
    pub(super) client_conf: Option<PathBuf>,
    pub(super) name: Option<String>,
    pub(super) os: Option<Word<Os>>,
    pub(super) pedestal: Option<Word<Pedestal>>,
    pub(super) board: Option<String>,
    pub(super) machine: Option<Word<Machine>>,
    pub(super) cpu: Option<Word<Cpu>>,
    pub(super) memory: Option<Mebibytes>,
    #[serde(default)]
    pub(super) qemu: BTreeMap<String, String>,
    pub(super) load_address: Option<Address>,
    pub(super) entry: Option<Address>,
    pub(super) arch: Option<Word<Arch>>,
    pub(super) pedestal_conf: Option<PathBuf>,
    pub(super) bios: Option<PathBuf>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) files: Vec<Further>,
    #[serde(default)]
    pub(super) platforms: Vec<Word<Host>>,
    pub(super) compression: Option<Compression>,
    #[serde(default)]
    pub(super) updatable: bool,
    pub(super) sign_key: Option<PathBuf>,
    pub(super) sbom: Option<Switch>,
    #[serde(default)]
    pub(super) packages: Vec<Package>,
    pub(super) provenance: Option<Switch>,
}

/// The firmware of one board, in the words of an image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(clippy::struct_field_names, reason = "the file's key")]
pub(super) struct Board {
    pub(super) firmware: PathBuf,
    pub(super) client_conf: Option<PathBuf>,
    pub(super) os: Option<Word<Os>>,
    pub(super) pedestal: Option<Word<Pedestal>>,
    pub(super) board: Option<String>,
    pub(super) machine: Option<Word<Machine>>,
    pub(super) cpu: Option<Word<Cpu>>,
    pub(super) memory: Option<Mebibytes>,
    #[serde(default)]
    pub(super) qemu: BTreeMap<String, String>,
    pub(super) load_address: Option<Address>,
    pub(super) entry: Option<Address>,
    pub(super) arch: Option<Word<Arch>>,
    pub(super) pedestal_conf: Option<PathBuf>,
    pub(super) bios: Option<PathBuf>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

/// A further file of the image.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Further {
    pub(super) file: PathBuf,
    pub(super) path: Word<ImagePath>,
    pub(super) mode: Option<Word<Mode>>,
}

/// An image and where the file describes it.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// The line in which it begins, counted from 1.
    pub(super) line: u64,
    column: u64,
    pub(super) described: Description,
}

impl File {
    /// Reads the file at `path`.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let read = |source| Error::Read { path: path.to_owned(), source };
        let mut text = String::new();
        fs::File::open(path).map_err(read)?.take(MAX_SIZE + 1).read_to_string(&mut text).map_err(read)?;
        if text.len() as u64 > MAX_SIZE {
            let reason = format!("it has more than {MAX_SIZE} bytes");
            return Err(Error::File { place: path.display().to_string(), reason });
        }
        serde_yaml::from_str(&text).map_err(|error| {
            let place = match error.location() {
                Some(at) => format!("{}:{}:{}", path.display(), at.line(), at.column()),
                None => path.display().to_string(),
            };
            Error::File { place, reason: reason(&error) }
        })
    }

    /// The images with these names, or all if none is given. Wrong is a name that no image or that two have.
    pub(super) fn chosen(&self, path: &Path, names: &[String]) -> Result<Vec<Image>> {
        let image = |it: &Spanned<Description>| Image {
            line: it.defined.line(),
            column: it.defined.column(),
            described: it.value.clone(),
        };
        let images: Vec<_> = self.images.iter().map(image).collect();
        let refuse = |line: u64, reason| Error::File { place: format!("{}:{line}", path.display()), reason };
        if images.is_empty() {
            return Err(refuse(1, "it describes no image".to_owned()));
        }
        for (at, image) in images.iter().enumerate() {
            image.check(path)?;
            let tag = &image.described.tag;
            if let Some(first) = images[..at].iter().find(|it| it.described.tag == *tag) {
                let reason = format!("line {} has an image with the name {tag:?}, too", first.line);
                return Err(refuse(image.line, reason));
            }
        }
        if let Some(name) = names.iter().find(|name| images.iter().all(|it| it.described.tag != **name)) {
            let known: Vec<_> = images.iter().map(|it| it.described.tag.as_str()).collect();
            let reason = format!("{} has no such image; it has {}", path.display(), known.join(", "));
            return Err(Error::Argument { what: "image name", value: name.clone(), reason });
        }
        Ok(images.into_iter().filter(|it| names.is_empty() || names.contains(&it.described.tag)).collect())
    }
}

impl Image {
    /// It has one firmware, or one for each of several boards.
    fn check(&self, path: &Path) -> Result<()> {
        let reason = match (&self.described.firmware, self.described.boards.is_empty()) {
            (Some(_), true) | (None, false) => return Ok(()),
            (None, true) => "firmware is missing, or boards that have one each",
            (Some(_), false) => "it has a firmware and boards that have one each; move it to its board",
        };
        let place = format!("{}:{}:{}", path.display(), self.line, self.column);
        Err(Error::File { place, reason: reason.to_owned() })
    }
}

/// What is wrong, without the place and the excerpt that the library adds.
fn reason(error: &serde_yaml::Error) -> String {
    let text = error.without_snippet().to_string();
    let text = text.lines().next().unwrap_or_default();
    text.split(" at line ").next().unwrap_or(text).to_owned()
}
