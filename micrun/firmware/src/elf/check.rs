//! Whether a firmware can be run: what the loaders of QEMU, of Linux' remoteproc and of OpenAMP take for
//! granted, checked before one of them gets the file.

use std::fmt;

use super::{Class, ElfInfo, Endian, Family, Fault, Kind, Machine, Segment};
use crate::{Error, MAX_FIRMWARE_SIZE, Pedestal, Result};

/// What the use of a firmware asks of it. The default asks only for what holds for every firmware.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The processor it must be for, when only one will do.
    pub machine: Option<Machine>,
    /// Whether it must have a `.resource_table`.
    pub resource_table: bool,
    /// An address at which there must be code, because the processor begins there whatever the entry is.
    pub begins: Option<u64>,
    /// How much memory it gets, in bytes, when nothing but that is known.
    pub size: Option<u64>,
    /// The memory that it gets, when it is known where that is.
    pub memory: Option<Memory>,
}

/// Memory at known addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Whose it is, for a message: `the machine virt`.
    pub of: String,
    /// Where it is.
    pub windows: Vec<Window>,
}

/// A range of physical addresses where memory is, flash or RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// The first address.
    pub base: u64,
    /// In bytes.
    pub size: u64,
}

impl Window {
    /// The address after its last.
    pub const fn end(self) -> u64 {
        self.base.saturating_add(self.size)
    }

    /// Whether these addresses are in it.
    pub const fn holds(self, start: u64, size: u64) -> bool {
        start >= self.base && size <= self.size && start - self.base <= self.size - size
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.base, self.end())
    }
}

impl Requirements {
    /// What `pedestal` asks of every firmware.
    pub fn of(pedestal: Pedestal) -> Self {
        Self { resource_table: pedestal.needs_resource_table(), ..Self::default() }
    }

    /// With so much memory, in MiB, wherever it is.
    #[must_use]
    pub fn with_memory(mut self, megabytes: u32) -> Self {
        self.size = Some(u64::from(megabytes) << 20);
        self
    }

    /// With the memory of `of`.
    #[must_use]
    pub fn with_windows(mut self, of: impl Into<String>, windows: Vec<Window>) -> Self {
        self.memory = Some(Memory { of: of.into(), windows });
        self
    }
}

/// Whether the firmware can be run with these requirements. The first fault found is the error, the most
/// telling ones first.
pub fn check(info: &ElfInfo, requirements: &Requirements) -> Result<()> {
    faults(info, requirements).map_err(Error::elf)
}

fn faults(info: &ElfInfo, requirements: &Requirements) -> Result<(), Fault> {
    target(info, requirements.machine)?;
    kind(info)?;
    segments(info)?;
    entry(info)?;
    if let Some(size) = requirements.size {
        amount(info, size)?;
    }
    if let Some(memory) = &requirements.memory {
        place(info, memory)?;
    }
    if let Some(at) = requirements.begins
        && !info
            .segments
            .iter()
            .any(|it| it.is_executable() && Window { base: it.paddr, size: it.filesz }.holds(at, 1))
    {
        return Err(Fault::NothingAtReset { at });
    }
    if requirements.resource_table && !info.has_resource_table {
        return Err(Fault::NoResourceTable);
    }
    Ok(())
}

fn target(info: &ElfInfo, wanted: Option<Machine>) -> Result<(), Fault> {
    let machine = info.machine;
    let class = match machine {
        Machine::Aarch64 => Class::Elf64,
        Machine::Arm => Class::Elf32,
        Machine::Riscv => info.class,
        Machine::Other(_) => return Err(Fault::UnknownMachine { machine }),
    };
    if info.class != class {
        return Err(Fault::WrongClass { class: info.class, machine, wanted: class });
    }
    if info.endian != Endian::Little {
        return Err(Fault::WrongEndian { endian: info.endian });
    }
    match wanted {
        Some(wanted) if wanted != machine => Err(Fault::WrongMachine { machine, wanted }),
        _ => Ok(()),
    }
}

fn kind(info: &ElfInfo) -> Result<(), Fault> {
    if info.has_interpreter {
        return Err(Fault::LinuxProgram);
    }
    let advice = match info.kind {
        Kind::Executable => return Ok(()),
        Kind::Dynamic => "link it with -static -no-pie",
        Kind::Relocatable => "it is an object file, link it first",
        Kind::Other(_) => "link it as a static executable",
    };
    Err(Fault::NotExecutable { kind: info.kind, advice })
}

fn segments(info: &ElfInfo) -> Result<(), Fault> {
    let mut in_file: u64 = 0;
    for (index, segment) in info.segments.iter().enumerate() {
        let Segment { offset, paddr, vaddr, filesz, memsz, .. } = *segment;
        if filesz > memsz {
            return Err(Fault::SegmentLargerInFile { index, filesz, memsz });
        }
        let end = offset.saturating_add(filesz);
        if end > info.file_size {
            return Err(Fault::SegmentOutsideFile { index, end, size: info.file_size });
        }
        // A 32-bit processor has no address above 4 GiB; one past the last is allowed.
        let limit = if info.class == Class::Elf32 { 1 << 32 } else { u64::MAX };
        for start in [paddr, vaddr] {
            if start.checked_add(memsz).is_none_or(|end| end > limit) {
                return Err(Fault::SegmentWraps { index, start, memsz });
            }
        }
        // Segments may share bytes of the file; without a bound a small file could cost hours to digest.
        in_file = in_file.saturating_add(filesz);
        if in_file > MAX_FIRMWARE_SIZE {
            return Err(Fault::TooLarge { size: in_file, limit: MAX_FIRMWARE_SIZE });
        }
    }
    if in_file == 0 {
        return Err(Fault::NothingToLoad);
    }
    overlap(&info.segments)
}

/// Bytes that a loader writes at the segment's load address. With a load address of its own the firmware may zero by
/// itself what the file does not fill, and another segment may follow in flash; QEMU decides alike.
fn loaded(segment: &Segment, segments: &[Segment]) -> u64 {
    let zeroed = segment.paddr + segment.filesz..segment.paddr + segment.memsz;
    let followed = || segments.iter().any(|other| other.memsz > 0 && zeroed.contains(&other.paddr));
    if segment.paddr != segment.vaddr && followed() { segment.filesz } else { segment.memsz }
}

fn overlap(segments: &[Segment]) -> Result<(), Fault> {
    let mut by_address: Vec<(usize, &Segment)> =
        segments.iter().enumerate().filter(|(_, segment)| segment.memsz > 0).collect();
    by_address.sort_by_key(|(_, segment)| segment.paddr);
    let end = |segment: &Segment| segment.paddr + loaded(segment, segments);
    match by_address.windows(2).find(|pair| end(pair[0].1) > pair[1].1.paddr) {
        Some(pair) => {
            Err(Fault::SegmentsOverlap { first: pair[0].0, second: pair[1].0, at: pair[1].1.paddr })
        }
        None => Ok(()),
    }
}

fn entry(info: &ElfInfo) -> Result<(), Fault> {
    let address = match info.machine {
        Machine::Arm => info.entry & !1,
        _ => info.entry,
    };
    // A binary that was wrapped into an ELF has no flags that mean anything.
    let marked = info.segments.iter().any(Segment::is_executable);
    // What the file does not fill is zero when the processor gets there: no code.
    let holds = |segment: &Segment| {
        (segment.is_executable() || !marked)
            && address.checked_sub(segment.vaddr).is_some_and(|at| at < segment.filesz)
    };
    if info.segments.iter().any(holds) { Ok(()) } else { Err(Fault::EntryOutside { entry: info.entry }) }
}

fn amount(info: &ElfInfo, size: u64) -> Result<(), Fault> {
    let needed = info.segments.iter().fold(0u64, |sum, segment| sum.saturating_add(segment.memsz));
    if needed > size {
        let megabytes = needed.div_ceil(1 << 20);
        return Err(Fault::MemoryTooSmall { needed, size, megabytes });
    }
    Ok(())
}

fn place(info: &ElfInfo, memory: &Memory) -> Result<(), Fault> {
    let all = || info.segments.iter().enumerate().filter(|(_, segment)| segment.memsz > 0);
    let fits = |&(start, size): &(u64, u64)| {
        size == 0 || memory.windows.iter().any(|window| window.holds(start, size))
    };
    let outside = |segment: &Segment| {
        // A Cortex-M translates no address: its variables must have a place as well as their initial values.
        let linked = (info.family() == Some(Family::M)).then_some((segment.vaddr, segment.memsz));
        [Some((segment.paddr, loaded(segment, &info.segments))), linked]
            .into_iter()
            .flatten()
            .find(|place| !fits(place))
    };
    let Some((index, (start, size))) = all().find_map(|(index, segment)| Some((index, outside(segment)?)))
    else {
        return Ok(());
    };
    let (end, of, windows) = (start + size, memory.of.clone(), list(&memory.windows));
    // One that all others leave behind was hardly meant to be there.
    let alone = all().count() > 1 && all().filter(|(_, segment)| outside(segment).is_some()).count() == 1;
    Err(if alone && is_far(start, size, &memory.windows) {
        Fault::SegmentAstray { index, start, end, size, of, windows }
    } else {
        Fault::SegmentOutsideMemory { index, start, end, of, windows }
    })
}

/// Whether the addresses are so far from all windows that no more memory would be given for them.
fn is_far(start: u64, size: u64, windows: &[Window]) -> bool {
    const FAR: u64 = 64 << 20;
    windows.iter().all(|window| {
        start.saturating_sub(window.end()) > FAR
            || window.base.saturating_sub(start.saturating_add(size)) > FAR
    })
}

/// Windows as a list for a message.
pub(crate) fn list(windows: &[Window]) -> String {
    windows.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
