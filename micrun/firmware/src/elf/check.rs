//! Whether a firmware can be run: what the loaders of QEMU, of Linux' remoteproc and of OpenAMP take for
//! granted, checked before one of them gets the file.

use super::{Class, ElfInfo, Endian, Fault, Kind, Machine, Segment};
use crate::{Error, MAX_FIRMWARE_SIZE, Pedestal, Result};

/// What the use of a firmware asks of it. The default asks only for what holds for every firmware.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// The processor it must be for, when only one will do.
    pub machine: Option<Machine>,
    /// Whether it must have a `.resource_table`.
    pub resource_table: bool,
    /// The memory it gets, when that is known.
    pub memory: Option<MemoryWindow>,
}

/// The memory that a firmware gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryWindow {
    /// The first physical address, when it is known.
    pub base: Option<u64>,
    /// In bytes.
    pub size: u64,
}

impl Requirements {
    /// What `pedestal` asks of every firmware.
    pub const fn of(pedestal: Pedestal) -> Self {
        Self { machine: None, resource_table: pedestal.needs_resource_table(), memory: None }
    }

    /// With so much memory, in MiB, wherever it is.
    #[must_use]
    pub fn with_memory(mut self, megabytes: u32) -> Self {
        self.memory = Some(MemoryWindow { base: None, size: u64::from(megabytes) << 20 });
        self
    }

    /// With so much memory, in MiB, where QEMU's `virt` machine of this processor has it.
    #[must_use]
    pub fn with_virt_memory(self, machine: Machine, megabytes: u32) -> Self {
        let mut requirements = self.with_memory(megabytes);
        if let Some(window) = &mut requirements.memory {
            window.base = virt_memory_base(machine);
        }
        requirements
    }
}

/// Where the memory of QEMU's `virt` machine of this processor begins (hw/arm/virt.c: `base_memmap`,
/// `VIRT_MEM`; hw/riscv/virt.c: `virt_memmap`, `VIRT_DRAM`).
pub const fn virt_memory_base(machine: Machine) -> Option<u64> {
    match machine {
        Machine::Aarch64 | Machine::Arm => Some(0x4000_0000),
        Machine::Riscv => Some(0x8000_0000),
        Machine::Other(_) => None,
    }
}

/// Whether the firmware can be run with these requirements. The first fault found is the error, the most
/// telling ones first.
pub fn check(info: &ElfInfo, requirements: Requirements) -> Result<()> {
    faults(info, requirements).map_err(Error::elf)
}

fn faults(info: &ElfInfo, requirements: Requirements) -> Result<(), Fault> {
    target(info, requirements.machine)?;
    kind(info)?;
    segments(info)?;
    entry(info)?;
    if let Some(window) = requirements.memory {
        memory(info, window)?;
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

fn overlap(segments: &[Segment]) -> Result<(), Fault> {
    let mut by_address: Vec<(usize, &Segment)> =
        segments.iter().enumerate().filter(|(_, segment)| segment.memsz > 0).collect();
    by_address.sort_by_key(|(_, segment)| segment.paddr);
    match by_address.windows(2).find(|pair| pair[0].1.paddr + pair[0].1.memsz > pair[1].1.paddr) {
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
    // What the file does not fill is zero when the processor gets there: no code.
    let holds = |segment: &Segment| {
        segment.is_executable() && address.checked_sub(segment.vaddr).is_some_and(|at| at < segment.filesz)
    };
    if info.segments.iter().any(holds) { Ok(()) } else { Err(Fault::EntryOutside { entry: info.entry }) }
}

fn memory(info: &ElfInfo, window: MemoryWindow) -> Result<(), Fault> {
    let needed = info.segments.iter().fold(0u64, |sum, segment| sum.saturating_add(segment.memsz));
    if needed > window.size {
        let megabytes = needed.div_ceil(1 << 20);
        return Err(Fault::MemoryTooSmall { needed, size: window.size, megabytes });
    }
    let Some(ram_start) = window.base else { return Ok(()) };
    let ram_end = ram_start.saturating_add(window.size);
    let loaded = info.segments.iter().enumerate().filter(|(_, segment)| segment.memsz > 0);
    for (index, segment) in loaded {
        let (start, end) = (segment.paddr, segment.paddr + segment.memsz);
        if start < ram_start || end > ram_end {
            return Err(Fault::SegmentOutsideMemory { index, start, end, ram_start, ram_end });
        }
    }
    Ok(())
}
