//! What a program in a jail opens beside its libraries.
//!
//! The lists were found by a trace of QEMU 10.0 on all its Arm and RISC-V machines. The test `tests/micad` `jail` traces
//! the installed QEMU and compares.

use std::path::{Path, PathBuf};

use crate::error::is_there;

/// What the loader reads to find libraries; without it, it looks for each in several directories.
pub(super) const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// Libraries that the C library loads when it needs them, from its own directory.
pub(super) const BESIDE_LIBC: &[&str] = &["libgcc_s.so.1"];

/// Firmware that QEMU's machines have in ROM, by emulator.
const ROMS: &[(&str, &[&str])] = &[
    ("qemu-system-aarch64", &["npcm7xx_bootrom.bin", "npcm8xx_bootrom.bin"]),
    ("qemu-system-arm", &["npcm7xx_bootrom.bin"]),
    ("qemu-system-riscv32", &["opensbi-riscv32-generic-fw_dynamic.bin"]),
    ("qemu-system-riscv64", &["opensbi-riscv64-generic-fw_dynamic.bin"]),
];

/// The data files of the emulator at `program`. They lie where QEMU looks for them: in `../share/qemu`, seen from its
/// own directory. One that is not there is left out, and QEMU says so when a machine needs it. One that cannot be looked at
/// is told when it is to be mounted.
pub(super) fn data(program: &Path) -> Vec<PathBuf> {
    let roms = ROMS.iter().find(|(name, _)| program.ends_with(name)).map_or(&[][..], |(_, roms)| roms);
    let Some(prefix) = program.parent().and_then(Path::parent) else { return Vec::new() };
    roms.iter()
        .map(|rom| prefix.join("share/qemu").join(rom))
        .filter(|path| is_there(path).unwrap_or(true))
        .collect()
}
