//! What can be wrong with a firmware's ELF. Each message says what, why it matters and what to do.

use super::{Class, Endian, Kind, Machine};

/// Why an ELF file cannot be run as a firmware. [`crate::Error::Elf`] adds the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// Not an ELF file.
    #[error(
        "this is not an ELF file (it begins with {found}); give the linked .elf, not the .bin or .hex made from it"
    )]
    NotElf {
        /// The first bytes.
        found: String,
    },
    /// Larger than [`crate::MAX_FIRMWARE_SIZE`].
    #[error(
        "the file has {size} bytes, more than the {limit} a firmware may have; strip its debug information"
    )]
    TooLarge {
        /// The file's size.
        size: u64,
        /// The most allowed.
        limit: u64,
    },
    /// Headers that point outside the file, or contradict themselves.
    #[error("the ELF is damaged: {what}; copy or link it again")]
    Damaged {
        /// Which header.
        what: String,
    },
    /// More headers than any firmware has.
    #[error("the ELF has {count} {what}, more than the {limit} allowed; link the firmware with fewer")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        count: u64,
        /// The most allowed.
        limit: u64,
    },
    /// A processor that no pedestal has.
    #[error(
        "the ELF is for the machine {machine}, which no pedestal supports; build it for aarch64, arm or riscv"
    )]
    UnknownMachine {
        /// The processor.
        machine: Machine,
    },
    /// Not the processor that was asked for.
    #[error("the ELF is for the machine {machine}, but {wanted} is needed; build it for {wanted}")]
    WrongMachine {
        /// The file's.
        machine: Machine,
        /// The one needed.
        wanted: Machine,
    },
    /// A class that the processor does not have.
    #[error("the ELF is {class} but its machine is {machine}, which is {wanted}; build it for {wanted}")]
    WrongClass {
        /// The file's.
        class: Class,
        /// The file's.
        machine: Machine,
        /// The processor's.
        wanted: Class,
    },
    /// The wrong byte order.
    #[error("the ELF is {endian}, but all pedestals are little-endian; build it for little-endian")]
    WrongEndian {
        /// The file's.
        endian: Endian,
    },
    /// Not linked to fixed addresses.
    #[error("the ELF is of type {kind}, but firmware is loaded to fixed addresses (ET_EXEC); {advice}")]
    NotExecutable {
        /// The file's.
        kind: Kind,
        /// What to do.
        advice: &'static str,
    },
    /// A program for Linux.
    #[error(
        "the ELF asks for a dynamic linker: it is a program for Linux, not a firmware; give the RTOS image"
    )]
    LinuxProgram,
    /// Nothing to load.
    #[error(
        "the ELF has nothing to load (no PT_LOAD segment with contents); check the linker script's PHDRS"
    )]
    NothingToLoad,
    /// The first instruction is not in the file.
    #[error(
        "the entry point {entry:#x} is not in the contents of an executable segment; check ENTRY() in the linker script"
    )]
    EntryOutside {
        /// Its virtual address.
        entry: u64,
    },
    /// `p_filesz > p_memsz`.
    #[error("segment {index} has {filesz:#x} bytes in the file but only {memsz:#x} in memory; link it again")]
    SegmentLargerInFile {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// Bytes in the file.
        filesz: u64,
        /// Bytes in memory.
        memsz: u64,
    },
    /// The contents are not in the file.
    #[error(
        "segment {index} ends beyond the end of the file ({end:#x} > {size:#x}): the file is cut off, copy it again"
    )]
    SegmentOutsideFile {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// Offset of its end in the file; `u64::MAX` when it cannot be expressed.
        end: u64,
        /// The file's size.
        size: u64,
    },
    /// The addresses wrap around.
    #[error(
        "segment {index} at {start:#x} with {memsz:#x} bytes passes the end of the address space; link it lower"
    )]
    SegmentWraps {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// The address (physical or virtual) that wraps.
        start: u64,
        /// Bytes in memory.
        memsz: u64,
    },
    /// Two segments share memory.
    #[error(
        "segments {first} and {second} overlap in memory at {at:#x}: one would overwrite the other when loaded; \
         check the load addresses (AT>) in the linker script"
    )]
    SegmentsOverlap {
        /// The lower `PT_LOAD`, from 0.
        first: usize,
        /// The higher one.
        second: usize,
        /// The first shared physical address.
        at: u64,
    },
    /// All segments together are larger than memory.
    #[error(
        "the firmware needs {needed} bytes of memory but gets {size}; raise Memory in client.conf to {megabytes}"
    )]
    MemoryTooSmall {
        /// Sum of all `p_memsz`.
        needed: u64,
        /// What the firmware gets.
        size: u64,
        /// What it needs, in MiB.
        megabytes: u64,
    },
    /// A segment is not in memory.
    #[error(
        "segment {index} at {start:#x}..{end:#x} is not in the memory of {of} ({windows}); link it there, raise \
         Memory in client.conf if it only ends too high, or name the machine or board that it was built for \
         (pack: --machine, --board)"
    )]
    SegmentOutsideMemory {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// Its first physical address.
        start: u64,
        /// The address after its last.
        end: u64,
        /// Whose memory it is.
        of: String,
        /// Where that is.
        windows: String,
    },
    /// One segment is far from the memory in which all others are.
    #[error(
        "segment {index} alone is not in the memory of {of} ({windows}): its {size} bytes at {start:#x}..{end:#x} \
         are far from all others; look for a section without a place in the linker script (readelf -lS), or give \
         the machine memory up to there (pack: --memory)"
    )]
    SegmentAstray {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// Its first physical address.
        start: u64,
        /// The address after its last.
        end: u64,
        /// Bytes in memory.
        size: u64,
        /// Whose memory it is.
        of: String,
        /// Where that is.
        windows: String,
    },
    /// The machine has another processor.
    #[error(
        "the ELF is for {processor}, but {other}; name another with --machine or Machine in client.conf \
         ({others})"
    )]
    OtherProcessor {
        /// The file's.
        processor: String,
        /// What has which other one.
        other: String,
        /// Machines that would do.
        others: String,
    },
    /// The core of a board has another processor.
    #[error(
        "the ELF is for {processor}, but {of} has {has}; build it for that, or name another board with --board"
    )]
    OtherCore {
        /// The file's.
        processor: String,
        /// What has another.
        of: String,
        /// What it has.
        has: String,
    },
    /// No machine has memory where the firmware is linked.
    #[error(
        "segment {index} at {start:#x}..{end:#x} is in the memory of no QEMU machine for {processor} that is known \
         here (tried: {tried}); name the machine with --machine or Machine in client.conf, or link it for one of \
         these"
    )]
    NoMachine {
        /// Which `PT_LOAD`, from 0.
        index: usize,
        /// Its first physical address.
        start: u64,
        /// The address after its last.
        end: u64,
        /// The file's.
        processor: String,
        /// Machines and their memory, and boards with a core beside Linux that it fits.
        tried: String,
    },
    /// It was built for a board that is none of the table.
    #[error(
        "the firmware was built for Zephyr's board {board}, and no QEMU machine that is known here is one; build it for \
         a board of docs/BOARDS.md, or name the machine with --machine"
    )]
    OtherBoard {
        /// As Zephyr's users write it.
        board: String,
    },
    /// There is no code where the processor begins.
    #[error(
        "the machine begins at {at:#x}, but no code is loaded there; link the firmware there, or write Bios = default \
         in [Qemu] of client.conf (pack: --qemu Bios=default) if it is to be started by OpenSBI"
    )]
    NothingAtReset {
        /// The physical address.
        at: u64,
    },
    /// No resource table.
    #[error(
        "there is no .resource_table section, by which the loader of this pedestal or board sets up rpmsg; link one in \
         and keep section headers (strip --strip-debug, not sstrip), or choose the pedestal qemu"
    )]
    NoResourceTable,
    /// The exit note cannot be read.
    #[error("the exit note ({owner:?}, type {kind}) holds {size} bytes instead of an 8-byte address; see docs/FIRMWARE.md",
        owner = super::EXIT_NOTE_OWNER, kind = super::EXIT_NOTE_TYPE)]
    BadExitNote {
        /// Size of its descriptor.
        size: usize,
    },
}
