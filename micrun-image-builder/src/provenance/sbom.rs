//! SBOMs: made, or taken as they are, and attached.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use micrun_firmware::settings::{Origin, Setting};
use micrun_firmware::{Firmware, Sha256Digest, is_firmware};
use object::{Object, ReadCache};
use oci_spec::image::{ANNOTATION_TITLE, ANNOTATION_VERSION};

use super::artifact::{Artifact, Part};
use super::attach::Chosen;
use super::spdx::{self, Facts, FirmwareFacts};
use crate::base::Base;
use crate::error::{Error, Result};
use crate::names;
use crate::say;
use crate::source::Source;
use crate::timestamp::Timestamp;

/// More than any SBOM of firmware.
const MAX_FILE: u64 = 64 << 20;
const CYCLONE_DX: &str = "application/vnd.cyclonedx+json";

/// What `sbom` is given.
#[derive(Args, Debug)]
pub(crate) struct SbomArgs {
    /// An image archive, a layout directory, or - for an archive on the standard input
    image: PathBuf,
    /// Which image it is, if there are several
    #[arg(long = "image", value_name = "NAME[:TAG]")]
    name: Option<String>,
    /// Attach this file, in SPDX or CycloneDX, instead of printing an SBOM
    #[arg(long, value_name = "FILE", conflicts_with = "attach")]
    file: Option<PathBuf>,
    /// Attach the SBOM to the image instead of printing it
    #[arg(long)]
    attach: bool,
    /// Where the image goes with what is attached [default: IMAGE itself]
    #[arg(short, long, value_name = "FILE.tar|DIR|-")]
    output: Option<PathBuf>,
}

/// Makes an SBOM of an image. Gives the text for stdout: the SBOM, or the digest of the image that it is attached to.
pub(super) fn run(args: &SbomArgs) -> Result<String> {
    let source = Source::open(&args.image)?;
    let image = Chosen::of(&source, &args.image, args.name.as_deref())?;
    let sbom = match &args.file {
        Some(file) => of_file(file)?,
        None => Artifact::of(spdx::JSON, of_image(&image)?),
    };
    if !args.attach && args.file.is_none() {
        let mut text: String = sbom.parts.iter().map(|it| String::from_utf8_lossy(&it.content)).collect();
        text.push('\n');
        return Ok(text);
    }
    image.attach(&[sbom], Vec::new(), args.output.as_deref())?;
    let output = args.output.as_deref().unwrap_or(&args.image);
    say::usual(format_args!("attached an SBOM to {}", names::of(&image.entry).unwrap_or("the image")));
    Ok(say::beside(output, format!("{}\n", image.digest())))
}

/// The SBOM of an image, from what a shim would run.
fn of_image(image: &Chosen<'_>) -> Result<Vec<u8>> {
    let base = Base::read(image.source, image.path, names::of(&image.entry))?;
    if !is_firmware(&base.view(), &BTreeMap::new()) {
        let reason = "it has no client.conf, so it is no firmware".to_owned();
        return Err(Error::NotImage { path: image.path.to_owned(), reason });
    }
    let said = base.platforms[0].manifest.annotations().clone().unwrap_or_default();
    let title = said.get(ANNOTATION_TITLE).map_or("firmware", String::as_str);
    let title = |board: &Option<String>| match board {
        Some(board) => format!("{title} for {board}"),
        None => title.to_owned(),
    };
    let found = base.firmwares()?;
    let firmware = found.iter().map(|(board, firmware)| facts(&title(board), firmware, &said));
    Ok(spdx::document(&Facts {
        name: names::of(&image.entry).unwrap_or("image"),
        digest: &image.digest(),
        firmware: firmware.collect::<Result<_>>()?,
        packages: &[],
        created: Timestamp::from_env()?,
    }))
}

/// What is known of a firmware of an image that says this in its annotations.
fn facts<'a>(
    title: &str,
    firmware: &'a Firmware,
    said: &HashMap<String, String>,
) -> Result<FirmwareFacts<'a>> {
    let copy = tempfile::tempfile().map_err(|source| Error::Write { path: env::temp_dir(), source })?;
    let digest = firmware.copy_to(&copy)?;
    let beside = match &firmware.pedestal_file {
        Some(file) => {
            let read = |source| Error::Read { path: file.host_path.clone(), source };
            let mut content = &file.file;
            content.rewind().map_err(read)?;
            Some((file.path.display().to_string(), Sha256Digest::read(&mut content).map_err(read)?))
        }
        None => None,
    };
    let Setting { value: os, origin } = &firmware.settings.os;
    Ok(FirmwareFacts {
        title: title.to_owned(),
        digest,
        elf: &firmware.elf,
        build_id: build_id(&copy),
        made_from: crate::pack::origin_of(&copy),
        os: (*origin != Origin::Default).then(|| os.to_string()),
        os_version: said.get(ANNOTATION_VERSION).cloned(),
        beside,
    })
}

/// The build id that the linker has left in an ELF, in hexadecimal digits.
pub(crate) fn build_id(elf: &File) -> Option<String> {
    let cache = ReadCache::new(elf);
    let file = object::File::parse(&cache).ok()?;
    Some(hex::encode(file.build_id().ok()??))
}

/// A file that is an SBOM, as it is.
pub(crate) fn of_file(path: &Path) -> Result<Artifact> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    let mut content = Vec::new();
    File::open(path).map_err(read)?.take(MAX_FILE).read_to_end(&mut content).map_err(read)?;
    let kind = kind(&content).ok_or_else(|| Error::Argument {
        what: "sbom",
        value: path.display().to_string(),
        reason: "it is neither SPDX (JSON, or tags and values) nor CycloneDX (JSON)".to_owned(),
    })?;
    Ok(Artifact::of(kind, content))
}

fn kind(content: &[u8]) -> Option<&'static str> {
    if let Ok(document) = serde_json::from_slice::<serde_json::Value>(content) {
        if document["spdxVersion"].is_string() {
            return Some(spdx::JSON);
        }
        return (document["bomFormat"] == "CycloneDX").then_some(CYCLONE_DX);
    }
    let mut lines = content.split(|it| *it == b'\n');
    lines.any(|line| line.starts_with(b"SPDXVersion:")).then_some(spdx::TAGS)
}

/// Documents that a build has left, as they are: names and texts.
pub(crate) fn of_build(documents: &[(String, String)]) -> Option<Artifact> {
    let parts: Vec<_> = documents
        .iter()
        .map(|(name, text)| Part {
            media_type: spdx::TAGS.to_owned(),
            content: text.clone().into_bytes(),
            annotations: HashMap::from([(ANNOTATION_TITLE.to_owned(), name.clone())]),
        })
        .collect();
    let mut artifact = Artifact::of(spdx::TAGS, Vec::new());
    artifact.parts = parts;
    (!artifact.parts.is_empty()).then_some(artifact)
}

/// The SBOM of what was packed.
pub(crate) fn of_facts(facts: &Facts<'_>) -> Artifact {
    Artifact::of(spdx::JSON, spdx::document(facts))
}
