//! The options of openEuler's `mica-image-builder.py`, and how to say the same here.

use std::ffi::OsStr;

/// Each option that is spelt differently here. Those with the same name and meaning are not listed.
const OPTIONS: [(&str, &str); 10] = [
    ("--firmware", "the firmware has no option: write `pack FIRMWARE`"),
    ("--xen-image", "write `--pedestal-conf FILE`"),
    ("--image-name", "write `--tag NAME`"),
    ("--registry", "it is part of the name: write `--tag REGISTRY/NAME:TAG`"),
    ("--version", "it is part of the name: write `--tag NAME:VERSION`"),
    ("--push", "hand the archive to `skopeo copy`, `oras cp` or `crane push`"),
    ("--no-push", "leave it out: nothing is pushed"),
    ("--dry-run", "leave it out: `pack` needs no Docker, and `-o -` writes no file"),
    ("--export", "write `--output FILE.tar`"),
    ("--builder", "leave it out: no Docker is needed"),
];

/// What to write instead of the old options among these arguments.
pub(crate) fn hints<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Vec<String> {
    let hint = |argument: &OsStr| {
        let text = argument.to_str()?;
        let option = text.split_once('=').map_or(text, |(option, _)| option);
        let (_, instead) = OPTIONS.iter().find(|(old, _)| *old == option)?;
        Some(format!("{option} is an option of mica-image-builder.py; {instead}"))
    };
    arguments.into_iter().filter_map(hint).collect()
}
