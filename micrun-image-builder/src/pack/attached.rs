//! What pack attaches to the image: an SBOM and the provenance.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use micrun_firmware::Sha256Digest;
use serde_json::{Map, Value};

use super::conf::Conf;
use super::pedestal_file::PedestalFile;
use super::{Firmware, input};
use crate::cli::PackArgs;
use crate::error::{Error, Result};
use crate::image::Stored;
use crate::names::ImageName;
use crate::platform::Host;
use crate::provenance::{self, Artifact, Blobs, Facts, Provenance, Sbom};
use crate::sink::Sink;
use crate::timestamp::Timestamp;

/// An image that has been packed.
pub(super) struct Packed<'a> {
    pub(super) args: &'a PackArgs,
    pub(super) name: &'a ImageName,
    pub(super) title: &'a str,
    pub(super) firmware: &'a Firmware,
    pub(super) conf: &'a Conf,
    pub(super) beside: Option<&'a PedestalFile>,
    pub(super) created: Timestamp,
}

impl Packed<'_> {
    /// Stores what the options ask for.
    pub(super) fn attach(&self, stored: &mut Stored, sink: &mut dyn Sink, output: &Path) -> Result<()> {
        let digest = stored.entry.digest().to_string();
        let mut blobs = Blobs::new(sink);
        for artifact in self.artifacts(&digest)? {
            let entry = artifact.store(&mut blobs, &stored.entry);
            let entry = entry.map_err(|source| Error::Write { path: output.to_owned(), source })?;
            stored.beside.push(entry);
        }
        Ok(())
    }

    fn artifacts(&self, digest: &str) -> Result<Vec<Artifact>> {
        let asked = &self.args.attach;
        let mut artifacts = Vec::new();
        match &asked.sbom {
            Some(Sbom::File(path)) => artifacts.push(provenance::sbom_of_file(path)?),
            made if made.is_some() || !asked.packages.is_empty() => {
                artifacts.push(provenance::sbom_of_facts(&self.facts(digest)));
                artifacts.extend(provenance::sbom_of_build(&self.firmware.facts.documents));
            }
            _ => {}
        }
        if let Some(builder) = &asked.provenance {
            let key = self.args.sign_key.as_deref().map(provenance::load_key).transpose()?;
            let provenance = Provenance {
                name: self.name.full(),
                digest,
                builder,
                parameters: parameters(self.args),
                materials: self.materials()?,
            };
            artifacts.push(provenance::slsa(&provenance, key.as_ref()));
        }
        Ok(artifacts)
    }

    fn facts<'a>(&'a self, digest: &'a str) -> Facts<'a> {
        Facts {
            name: self.name.full(),
            digest,
            title: self.title,
            firmware: self.firmware.digest,
            elf: &self.firmware.info,
            build_id: provenance::build_id(self.firmware.file()),
            made_from: input::origin_of(self.firmware.file()),
            os: self.conf.annotations.os.as_ref().map(ToString::to_string),
            os_version: self.firmware.facts.os_version.clone(),
            beside: self.beside.map(|it| (format!("/{}", it.place), it.content().sha256)),
            packages: &self.args.attach.packages,
            created: self.created,
        }
    }

    /// The files that were given. Their names are this machine's matter.
    fn materials(&self) -> Result<Vec<(&'static str, Sha256Digest)>> {
        let given = &self.args.firmware;
        // Of a build directory, what counts is its ELF.
        let firmware = if given.is_file() { digest(given)? } else { self.firmware.digest };
        let mut materials = vec![("firmware", firmware)];
        if let Some(path) = &self.args.client_conf {
            materials.push(("client.conf", digest(path)?));
        }
        materials.extend(self.beside.map(|it| (it.place, it.content().sha256)));
        Ok(materials)
    }
}

fn digest(path: &Path) -> Result<Sha256Digest> {
    let read = |source| Error::Read { path: path.to_owned(), source };
    Sha256Digest::read(&mut File::open(path).map_err(read)?).map_err(read)
}

/// The options that decide what the image is, by their names.
fn parameters(args: &PackArgs) -> Map<String, Value> {
    let text = |value: Option<String>| value.map(Value::from);
    let address = |value: Option<u64>| value.map(|it| format!("{it:#x}").into());
    let pairs = |pairs: &[(String, String)]| {
        let pairs: BTreeMap<_, _> = pairs.iter().cloned().collect();
        (!pairs.is_empty()).then(|| Value::from_iter(pairs))
    };
    let platforms: Vec<_> = args.platforms.iter().map(Host::to_string).collect();
    let compression = args.compression.unwrap_or_default();
    let given = [
        ("tag", text(args.tag.clone())),
        ("os", text(args.os.as_ref().map(ToString::to_string))),
        ("pedestal", text(args.pedestal.as_ref().map(ToString::to_string))),
        ("board", text(args.target.board.clone())),
        ("machine", text(args.target.machine.as_ref().map(ToString::to_string))),
        ("cpu", text(args.target.cpu.as_ref().map(ToString::to_string))),
        ("memory", args.target.memory.map(Value::from)),
        ("qemu", pairs(&args.target.qemu)),
        ("name", text(args.name.clone())),
        ("annotation", pairs(&args.annotations)),
        ("label", pairs(&args.labels)),
        ("platform", (!platforms.is_empty()).then(|| platforms.into())),
        ("compression", Some(compression.media_type().to_string().into())),
        ("load-address", address(args.input.load_address)),
        ("entry", address(args.input.entry)),
        ("arch", text(args.input.arch.map(|it| it.as_str().to_owned()))),
    ];
    given.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
}
