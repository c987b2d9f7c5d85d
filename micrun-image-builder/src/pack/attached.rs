//! What pack attaches to the image: an SBOM and the provenance.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use micrun_firmware::Sha256Digest;
use serde_json::{Map, Value};

use super::input;
use super::part::Part;
use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::names::ImageName;
use crate::platform::Host;
use crate::provenance::{self, Artifact, Blobs, Facts, FirmwareFacts, Provenance, Sbom};
use crate::sink::Sink;
use crate::timestamp::Timestamp;

/// A firmware of the image, and what it was packed by.
pub(super) struct Packed<'a> {
    pub(super) args: &'a PackArgs,
    /// The board that it is for, if the image has several.
    pub(super) board: Option<&'a str>,
    pub(super) part: Part,
}

/// An image that has been packed, and what is to be said about it.
pub(super) struct Attachments<'a> {
    pub(super) args: &'a PackArgs,
    pub(super) name: &'a ImageName,
    pub(super) title: &'a str,
    pub(super) digest: &'a str,
    pub(super) parts: &'a [Packed<'a>],
    pub(super) created: Timestamp,
}

impl Attachments<'_> {
    /// Stores what the options ask for.
    pub(super) fn store(&self, stored: &mut Stored, sink: &mut dyn Sink, output: &Path) -> Result<()> {
        let mut blobs = Blobs::new(sink);
        for artifact in self.artifacts()? {
            let entry = artifact.store(&mut blobs, &stored.entry);
            let entry = entry.map_err(|source| Error::Write { path: output.to_owned(), source })?;
            stored.beside.push(entry);
        }
        Ok(())
    }

    fn artifacts(&self) -> Result<Vec<Artifact>> {
        let asked = &self.args.attach;
        let mut artifacts = Vec::new();
        match &asked.sbom {
            Some(Sbom::File(path)) => artifacts.push(provenance::sbom_of_file(path)?),
            made if made.is_some() || !asked.packages.is_empty() => {
                artifacts.push(provenance::sbom_of_facts(&self.facts()));
                let documents = self.parts.iter().map(|it| &it.part.firmware.facts.documents);
                artifacts.extend(documents.filter_map(|it| provenance::sbom_of_build(it)));
            }
            _ => {}
        }
        if let Some(builder) = &asked.provenance {
            let key = self.args.sign_key.as_deref().map(provenance::load_key).transpose()?;
            let mut materials = Vec::new();
            for part in self.parts {
                materials.extend(part.materials()?);
            }
            let provenance = Provenance {
                name: self.name.full(),
                digest: self.digest,
                builder,
                parameters: self.parameters(),
                materials,
            };
            artifacts.push(provenance::slsa(&provenance, key.as_ref()));
        }
        Ok(artifacts)
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            name: self.name.full(),
            digest: self.digest,
            firmware: self.parts.iter().map(|it| it.facts(self.title)).collect(),
            packages: &self.args.attach.packages,
            created: self.created,
        }
    }

    /// The options that decide what the image is; those of each board, if there are several.
    fn parameters(&self) -> Map<String, Value> {
        let mut all = of_image(self.args);
        for part in self.parts {
            let own = of_firmware(part.args);
            match part.board {
                Some(board) => {
                    all.insert(format!("board {board}"), own.into());
                }
                None => all.extend(own),
            }
        }
        all
    }
}

impl Packed<'_> {
    fn facts(&self, title: &str) -> FirmwareFacts<'_> {
        let Part { firmware, conf, beside, .. } = &self.part;
        FirmwareFacts {
            title: match self.board {
                Some(board) => format!("{title} for {board}"),
                None => title.to_owned(),
            },
            digest: firmware.digest,
            elf: &firmware.info,
            build_id: provenance::build_id(&firmware.file),
            made_from: input::origin_of(&firmware.file),
            os: conf.annotations.os.as_ref().map(ToString::to_string),
            os_version: firmware.facts.os_version.clone(),
            beside: beside.as_ref().map(|it| (format!("/{}", it.place), it.content().sha256)),
        }
    }

    /// The files that were given. Their names are this machine's matter.
    fn materials(&self) -> Result<Vec<(String, Sha256Digest)>> {
        let given = &self.args.firmware;
        // Of a build directory, what counts is its ELF.
        let firmware = if given.is_file() { digest(given)? } else { self.part.firmware.digest };
        let mut materials = vec![("firmware", firmware)];
        if let Some(path) = &self.args.client_conf {
            materials.push(("client.conf", digest(path)?));
        }
        materials.extend(self.part.beside.as_ref().map(|it| (it.place, it.content().sha256)));
        let place = self.board.map(|board| format!("{board}/")).unwrap_or_default();
        Ok(materials.into_iter().map(|(name, digest)| (format!("{place}{name}"), digest)).collect())
    }
}

fn digest(path: &Path) -> Result<Sha256Digest> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    Sha256Digest::read(&mut File::open(path).map_err(read)?).map_err(read)
}

fn of_image(args: &PackArgs) -> Map<String, Value> {
    let platforms: Vec<_> = args.platforms.iter().map(Host::to_string).collect();
    let compression = args.compression.unwrap_or_default();
    given([
        ("tag", text(args.tag.clone())),
        ("label", pairs(&args.labels)),
        ("platform", (!platforms.is_empty()).then(|| platforms.into())),
        ("compression", Some(compression.media_type().to_string().into())),
        ("updatable", args.updatable.then(|| true.into())),
    ])
}

fn of_firmware(args: &PackArgs) -> Map<String, Value> {
    let address = |value: Option<u64>| value.map(|it| format!("{it:#x}").into());
    given([
        ("os", text(args.os.as_ref().map(ToString::to_string))),
        ("pedestal", text(args.pedestal.as_ref().map(ToString::to_string))),
        ("board", text(args.target.board.clone())),
        ("machine", text(args.target.machine.as_ref().map(ToString::to_string))),
        ("cpu", text(args.target.cpu.as_ref().map(ToString::to_string))),
        ("memory", args.target.memory.map(Value::from)),
        ("qemu", pairs(&args.target.qemu)),
        ("name", text(args.name.clone())),
        ("annotation", pairs(&args.annotations)),
        ("load-address", address(args.input.load_address)),
        ("entry", address(args.input.entry)),
        ("arch", text(args.input.arch.map(|it| it.as_str().to_owned()))),
    ])
}

/// Options by their names, without those that were not given.
fn given<const N: usize>(options: [(&str, Option<Value>); N]) -> Map<String, Value> {
    options.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}

fn text(value: Option<String>) -> Option<Value> {
    value.map(Value::from)
}

fn pairs(pairs: &[(String, String)]) -> Option<Value> {
    let pairs: BTreeMap<_, _> = pairs.iter().cloned().collect();
    (!pairs.is_empty()).then(|| Value::from_iter(pairs))
}
