//! The file's words made options of `pack`. What the command line says wins.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::file::{Board, Description, Further};
use crate::cli::{InputArgs, PackArgs, Target};
use crate::pack::ExtraFile;
use crate::provenance::{AttachArgs, Switch};

/// The options for one image. Paths in the file start at its `directory`.
pub(super) fn into(options: &PackArgs, said: Description, directory: &Path) -> PackArgs {
    let options = options.clone();
    let here = |path: PathBuf| directory.join(path);
    // Whoever names the machine on the command line does not mean the file's board, and the other way round.
    let names_target = options.target.board.is_some() || options.target.machine.is_some();
    let file = |it: Further| ExtraFile {
        from: here(it.file),
        place: it.path.0,
        mode: it.mode.map(|mode| mode.0).unwrap_or_default(),
    };
    PackArgs {
        firmware: said.firmware.map(here).unwrap_or_default(),
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
        files: said.files.into_iter().map(file).chain(options.files).collect(),
        platforms: if options.platforms.is_empty() {
            said.platforms.into_iter().map(|it| it.0).collect()
        } else {
            options.platforms
        },
        tag: options.tag.or(Some(said.tag)),
        output: options.output.or(said.output.map(here)),
        compression: options.compression.or(said.compression),
        updatable: options.updatable || said.updatable,
        sign_key: options.sign_key.or(said.sign_key.map(here)),
        attach: AttachArgs {
            sbom: options.attach.sbom.or(said.sbom.and_then(Switch::sbom).map(|it| it.below(directory))),
            provenance: options.attach.provenance.or(said.provenance.and_then(Switch::provenance)),
            packages: said.packages,
        },
        json: options.json,
    }
}

/// The same for each of the image's boards, by the board's name.
pub(super) fn boards(options: &PackArgs, said: &Description, directory: &Path) -> BTreeMap<String, PackArgs> {
    let of_board = |board: &Board| into(options, said.clone().of(board.clone()), directory);
    said.boards.iter().map(|(name, board)| (name.0.clone(), of_board(board))).collect()
}

impl Description {
    /// The image as its description would be if it were for one board alone.
    fn of(self, board: Board) -> Self {
        // A board is named by the machine of its own, or by the image's, and not by both.
        let names_target = board.board.is_some() || board.machine.is_some();
        Self {
            firmware: Some(board.firmware),
            client_conf: board.client_conf.or(self.client_conf),
            os: board.os.or(self.os),
            pedestal: board.pedestal.or(self.pedestal),
            board: board.board.or(self.board.filter(|_| !names_target)),
            machine: board.machine.or(self.machine.filter(|_| !names_target)),
            cpu: board.cpu.or(self.cpu),
            memory: board.memory.or(self.memory),
            qemu: self.qemu.into_iter().chain(board.qemu).collect(),
            load_address: board.load_address.or(self.load_address),
            entry: board.entry.or(self.entry),
            arch: board.arch.or(self.arch),
            pedestal_conf: board.pedestal_conf.or(self.pedestal_conf),
            bios: board.bios.or(self.bios),
            annotations: self.annotations.into_iter().chain(board.annotations).collect(),
            ..self
        }
    }
}
