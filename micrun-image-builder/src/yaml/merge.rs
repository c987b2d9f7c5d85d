//! The file's words made options of `pack`. What the command line says wins.

use std::path::{Path, PathBuf};

use super::file::Image;
use crate::cli::{InputArgs, PackArgs, Target};
use crate::provenance::{AttachArgs, Switch};

/// The options for one image. Paths in the file start at its `directory`.
pub(super) fn into(options: &PackArgs, image: Image, directory: &Path) -> PackArgs {
    let said = image.described;
    let options = options.clone();
    let here = |path: PathBuf| directory.join(path);
    // Whoever names the machine on the command line does not mean the file's board, and the other way round.
    let names_target = options.target.board.is_some() || options.target.machine.is_some();
    PackArgs {
        firmware: here(said.firmware),
        input: InputArgs {
            load_address: options.input.load_address.or(said.load_address.map(|it| it.0)),
            entry: options.input.entry.or(said.entry.map(|it| it.0)),
            arch: options.input.arch.or(said.arch.map(|it| it.0)),
            pedestal_conf: options.input.pedestal_conf.or(said.pedestal_conf.map(here)),
            bios: options.input.bios.or(said.bios.map(here)),
        },
        client_conf: options.client_conf.or(said.client_conf.map(here)),
        os: options.os.or(said.os.map(|it| it.0)),
        pedestal: options.pedestal.or(said.pedestal.map(|it| it.0)),
        target: Target {
            board: options.target.board.or(said.board.filter(|_| !names_target)),
            machine: options.target.machine.or(said.machine.map(|it| it.0).filter(|_| !names_target)),
            cpu: options.target.cpu.or(said.cpu.map(|it| it.0)),
            memory: options.target.memory.or(said.memory.map(|it| it.0)),
            qemu: said.qemu.into_iter().chain(options.target.qemu).collect(),
        },
        name: options.name.or(said.name),
        // The last of two values for one key counts.
        annotations: said.annotations.into_iter().chain(options.annotations).collect(),
        labels: said.labels.into_iter().chain(options.labels).collect(),
        platforms: if options.platforms.is_empty() {
            said.platforms.into_iter().map(|it| it.0).collect()
        } else {
            options.platforms
        },
        tag: options.tag.or(Some(said.tag)),
        output: options.output.or(said.output.map(here)),
        compression: options.compression.or(said.compression),
        sign_key: options.sign_key.or(said.sign_key.map(here)),
        attach: AttachArgs {
            sbom: options.attach.sbom.or(said.sbom.and_then(Switch::sbom).map(|it| it.below(directory))),
            provenance: options.attach.provenance.or(said.provenance.and_then(Switch::provenance)),
            packages: said.packages,
        },
        json: options.json,
    }
}
