//! Memory files for firmware, which nobody can change once they are sealed (`memfd_create(2)`).

use std::fs::File;
use std::io;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

/// A new memory file. `/proc` shows it as `/memfd:firmware`.
pub fn create() -> io::Result<File> {
    let made = memfd_create(c"firmware", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
    Ok(made.into())
}

/// Nobody can change the file, its size or its seals from now on.
pub fn seal(file: &File) -> io::Result<()> {
    fcntl(file, FcntlArg::F_ADD_SEALS(all())).map(drop).map_err(io::Error::from)
}

/// Whether the file is a memory file that was sealed by [`seal`].
pub fn is_sealed(file: &File) -> bool {
    // Other files have no seals to ask for.
    let seals = fcntl(file, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_truncate);
    seals.is_ok_and(|seals| seals.contains(all()))
}

fn all() -> SealFlag {
    SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL
}
