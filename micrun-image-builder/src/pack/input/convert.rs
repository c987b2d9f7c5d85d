//! From a file in a format without ELF headers to an ELF.

use std::fs::File;
use std::io::{BufReader, BufWriter};

use super::arch::Arch;
use super::fault::{Fault, Result};
use super::memory::{Contents, Memory, Segment};
use super::origin::Origin;
use super::uf2_family::{self, Core};
use super::{elf_file, temporary, vector_table};
use crate::cli::InputArgs;
use crate::digest::MeteredReader;

/// The address after the last one of a processor of 32 bits.
const MAX_32: u64 = 1 << 32;

/// The file, which is digested on the way.
pub(super) type Source = BufReader<MeteredReader<File>>;

/// What a format says about the firmware in it.
pub(super) struct Said {
    /// The format's name.
    pub(super) format: &'static str,
    /// The processor.
    pub(super) arch: Option<Arch>,
    /// The first instruction.
    pub(super) entry: Option<u64>,
}

/// An ELF that was made.
pub(super) struct Made {
    pub(super) file: File,
    /// A sentence about it.
    pub(super) note: String,
}

/// Makes an ELF of a file that `read` puts into memory.
pub(super) fn convert(
    file: File,
    args: &InputArgs,
    read: impl FnOnce(&mut Source, &mut Memory<File>) -> Result<Said>,
) -> Result<Made> {
    let mut source = BufReader::with_capacity(1 << 17, MeteredReader::new(file));
    let mut memory = Memory::new(temporary()?);
    let said = read(&mut source, &mut memory)?;
    let digest = source.into_inner().drain()?.digest;
    let mut memory = memory.finish()?;
    let origin = Origin { format: said.format, digest: format!("sha256:{}", digest.digest()) };
    let Some(arch) = args.arch.or(said.arch) else { return Err(no_arch(said.format, &mut memory)?) };
    let entry = entry(args.entry.or(said.entry), arch, &mut memory)?;
    if !arch.is_64() && memory.end().max(entry) > MAX_32 {
        return Err(Fault::refused(format!("{} has no addresses above 4 GiB", arch.as_str())));
    }
    let file = temporary()?;
    elf_file::write(&mut memory, arch, entry, &origin, BufWriter::with_capacity(1 << 17, &file))?;
    let note = format!(
        "an ELF was made of the file ({}): for {}, {} bytes from {:#x} on, entry {entry:#x}; it has no resource table, \
         no exit record and no symbols",
        said.format,
        arch.as_str(),
        memory.segments.iter().map(Segment::length).sum::<u64>(),
        memory.start(),
    );
    Ok(Made { file, note })
}

/// What to do about a format that does not say its processor.
fn no_arch(format: &str, memory: &mut Contents<File>) -> Result<Fault> {
    let known = Arch::ALL.map(Arch::as_str).join(", ");
    let hint = match vector_table::entry(memory)? {
        Some(_) => "; it begins like firmware for a cortex-m",
        None => "",
    };
    Ok(Fault::refused(format!(
        "its format ({format}) does not say for which processor it is; add --arch ({known}){hint}"
    )))
}

/// The first instruction: where it is said to be, else where the processor looks for it.
fn entry(said: Option<u64>, arch: Arch, memory: &mut Contents<File>) -> Result<u64> {
    match (said, arch) {
        // A Cortex-M knows nothing but Thumb code.
        (Some(entry), Arch::CortexM) => Ok(entry | 1),
        (Some(entry), _) => Ok(entry),
        (None, Arch::CortexM) => vector_table::entry(memory)?.ok_or_else(|| {
            Fault::refused(
                "it does not begin with the vector table of a Cortex-M; say with --entry where the firmware starts",
            )
        }),
        (None, _) => Ok(memory.start()),
    }
}

/// The processor of a family of UF2, unless the user says another.
pub(super) fn arch_of(family: Option<u32>, given: Option<Arch>) -> Result<Option<Arch>> {
    let Some(id) = family else { return Ok(None) };
    match uf2_family::find(id) {
        Some(family) => match family.core {
            Core::Known(arch) => Ok(Some(arch)),
            Core::Foreign(core) => Err(Fault::refused(format!(
                "it is for {}, whose processor ({core}) no pedestal has; build the firmware for another board",
                family.name
            ))),
        },
        None if given.is_some() => Ok(None),
        None => Err(Fault::refused(format!(
            "its family {id:#010x} is not known; say with --arch which processor it has"
        ))),
    }
}
