//! An ELF core: memory and registers of a machine that stands still, as gdb opens them.
//!
//! QEMU's own `dump-guest-memory` leaves the virtual addresses of memory out, which gdb looks for, and knows no 32-bit
//! RISC-V. So the file is written here, the same way for every processor: a note of Linux's `struct elf_prstatus` for each
//! processor, and the memory at its physical addresses, which are those that firmware is linked to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use micrun_firmware::elf::{Class, ElfInfo, Machine};
use object::elf;

use super::registers::number;
use crate::{Error, Result};

/// What is read, and left out where it is zero, at a time: a page of the file system.
const BLOCK: usize = 4096;
/// Bytes that are read at a time.
const CHUNK: usize = 64 * BLOCK;
/// The signal that gdb is told of (SIGTRAP): there is none for what has happened.
const SIGNAL: u16 = 5;

/// The names that RISC-V's calls have for registers (RISC-V ABIs Specification).
const RISCV: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// A piece of the machine's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    /// Guest-physical address of its first byte.
    pub(super) address: u64,
    /// In bytes.
    pub(super) size: u64,
}

/// Where the bytes come from.
pub(super) trait Memory {
    /// Reads what is at `address`; whether anything can be there but zeros.
    fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<bool>;
}

/// What a core consists of, besides the memory's bytes.
#[derive(Debug)]
pub(super) struct Layout {
    class: Class,
    machine: Machine,
    /// The registers of each processor, in the order of Linux's `elf_gregset_t`.
    processors: Vec<Vec<u64>>,
    regions: Vec<Region>,
}

impl Layout {
    /// That of a machine which ran the firmware of these headers; `processors` are the registers of each in the words of
    /// QEMU's monitor or of our driver. One of another kind than the firmware's is left out.
    pub(super) fn new<'a>(
        info: &ElfInfo,
        processors: impl IntoIterator<Item = &'a str>,
        regions: Vec<Region>,
    ) -> Result<Self> {
        let (class, machine) = (info.class, info.machine);
        let processors: Vec<_> =
            processors.into_iter().filter_map(|text| registers(class, machine, text)).collect();
        if processors.is_empty() {
            return Err(refused(format!("the registers of an {machine} processor cannot be told")));
        }
        Ok(Self { class, machine, processors, regions })
    }

    /// Writes the core to an empty file. What is zero takes no place on the disk; of the rest there may be `most` bytes.
    /// Blocks.
    pub(super) fn write(&self, memory: &impl Memory, to: &File, most: u64) -> Result<()> {
        let failed = |e: io::Error| refused(e.to_string());
        let notes = self.notes();
        let headers = self.headers_size();
        let first = (headers + notes.len() as u64).next_multiple_of(BLOCK as u64);
        to.write_all_at(&self.headers(headers, notes.len() as u64, first), 0).map_err(failed)?;
        to.write_all_at(&notes, headers).map_err(failed)?;
        let mut left = most.saturating_sub(first);
        let mut at = first;
        for region in &self.regions {
            copy(memory, *region, to, at, &mut left)?;
            at += region.size;
        }
        to.set_len(at).map_err(failed)
    }

    fn is_64(&self) -> bool {
        self.class == Class::Elf64
    }

    /// `struct elf_prstatus` in a note for each processor (Linux, `include/linux/elfcore.h`).
    fn notes(&self) -> Vec<u8> {
        let mut notes = Vec::new();
        for (registers, number) in self.processors.iter().zip(1_u32..) {
            let mut status = Bytes::new(self.is_64());
            status.zeros(12).u16(SIGNAL).zeros(2).words(&[0, 0]).u32(number).zeros(12);
            // Four times: user, system and those of children.
            status.words(&[0; 8]).words(registers).u32(0);
            status.align();
            let mut note = Bytes::new(self.is_64());
            note.u32(5).u32(u32::try_from(status.0.len()).unwrap_or_default()).u32(elf::NT_PRSTATUS.0);
            note.0.extend(b"CORE\0\0\0\0");
            notes.extend(note.0);
            notes.extend(status.0);
        }
        notes
    }

    fn headers_size(&self) -> u64 {
        let (header, segment) = if self.is_64() { (64, 56) } else { (52, 32) };
        header + segment * (1 + self.regions.len() as u64)
    }

    fn headers(&self, size: u64, notes: u64, first: u64) -> Vec<u8> {
        let (header, segment, class) = if self.is_64() { (64, 56, 2) } else { (52, 32, 1) };
        let count = u16::try_from(1 + self.regions.len()).unwrap_or(u16::MAX);
        let mut bytes = Bytes::new(self.is_64());
        bytes.0.extend([0x7f, b'E', b'L', b'F', class, 1, 1]);
        bytes.zeros(9).u16(elf::ET_CORE.0).u16(number_of(self.machine)).u32(1);
        bytes.words(&[0, u64::from(header), 0]).u32(0);
        bytes.u16(header).u16(segment).u16(count).zeros(6);
        bytes.segment(elf::PT_NOTE.0, size, 0, notes);
        let mut at = first;
        for region in &self.regions {
            bytes.segment(elf::PT_LOAD.0, at, region.address, region.size);
            at += region.size;
        }
        bytes.0
    }
}

/// Copies a region, without its zeros, to the place `at` of the file.
fn copy(memory: &impl Memory, region: Region, to: &File, at: u64, left: &mut u64) -> Result<()> {
    let mut chunk = vec![0; CHUNK];
    let mut done = 0;
    while done < region.size {
        let size = usize::try_from(region.size - done).unwrap_or(CHUNK).min(CHUNK);
        let part = &mut chunk[..size];
        let address = region.address + done;
        let is_there =
            memory.read(address, part).map_err(|e| refused(format!("memory at {address:#x}: {e}")))?;
        for (block, place) in part.chunks(BLOCK).zip((at + done..).step_by(BLOCK)).filter(|_| is_there) {
            if block.iter().all(|byte| *byte == 0) {
                continue;
            }
            *left = left.checked_sub(block.len() as u64).ok_or_else(|| {
                refused("it is larger than CoreTotal and CorePerClient of micad.conf allow".to_owned())
            })?;
            to.write_all_at(block, place).map_err(|e| refused(e.to_string()))?;
        }
        done += size as u64;
    }
    Ok(())
}

/// The registers of one processor in the kernel's order, out of a text that names them.
fn registers(class: Class, machine: Machine, text: &str) -> Option<Vec<u64>> {
    let value = |name: &str| number(text, name);
    match (machine, class) {
        (Machine::Aarch64, Class::Elf64) => {
            let general = (0..31).map(|n| value(&format!("X{n:02}")).or_else(|| value(&format!("x{n}"))));
            let rest = [
                value("SP").or_else(|| value("sp")),
                value("PC").or_else(|| value("pc")),
                value("PSTATE").or_else(|| value("cpsr")),
            ];
            general.chain(rest).collect()
        }
        (Machine::Arm, Class::Elf32) => {
            let general = (0..16).map(|n| value(&format!("R{n:02}")));
            // The last one is the first one before a system call.
            general.chain([value("XPSR").or_else(|| value("PSR")), Some(0)]).collect()
        }
        (Machine::Riscv, _) => {
            let general = (1..).zip(&RISCV[1..]).map(|(n, name)| value(&format!("x{n}/{name}")));
            std::iter::once(value("pc")).chain(general).collect()
        }
        _ => None,
    }
}

fn number_of(machine: Machine) -> u16 {
    match machine {
        Machine::Aarch64 => elf::EM_AARCH64.0,
        Machine::Arm => elf::EM_ARM.0,
        Machine::Riscv => elf::EM_RISCV.0,
        Machine::Other(number) => number,
    }
}

/// Why there is no core.
pub(super) fn refused(problem: String) -> Error {
    Error::Core { problem }
}

/// Little-endian fields in a row.
struct Bytes(Vec<u8>, bool);

impl Bytes {
    /// Of a file with words of 64 bits, or of 32.
    fn new(is_64: bool) -> Self {
        Self(Vec::new(), is_64)
    }

    fn zeros(&mut self, count: usize) -> &mut Self {
        self.0.resize(self.0.len() + count, 0);
        self
    }

    fn u16(&mut self, value: u16) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Words of the file's class, aligned as C has them.
    fn words(&mut self, values: &[u64]) -> &mut Self {
        self.align();
        let size = self.word();
        for value in values {
            self.0.extend(&value.to_le_bytes()[..size]);
        }
        self
    }

    fn align(&mut self) {
        let whole = self.0.len().next_multiple_of(self.word());
        self.0.resize(whole, 0);
    }

    const fn word(&self) -> usize {
        if self.1 { 8 } else { 4 }
    }

    /// A program header, whose fields stand in another order in either class.
    fn segment(&mut self, kind: u32, offset: u64, address: u64, size: u64) {
        const FLAGS: u32 = 7;
        self.u32(kind);
        if self.1 {
            self.u32(FLAGS).words(&[offset, address, address, size, size, 1]);
        } else {
            self.words(&[offset, address, address, size, size]).u32(FLAGS).u32(1);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::os::unix::fs::MetadataExt;

    use object::{Object, ObjectSegment};

    use super::*;

    /// Zeros, but for one byte at an address.
    struct OneByte(u64);

    impl Memory for OneByte {
        fn read(&self, address: u64, bytes: &mut [u8]) -> io::Result<bool> {
            bytes.fill(0);
            let place = self.0.checked_sub(address).and_then(|at| usize::try_from(at).ok());
            if let Some(byte) = place.and_then(|at| bytes.get_mut(at)) {
                *byte = 7;
            }
            Ok(true)
        }
    }

    fn layout(class: Class, machine: Machine, text: &str) -> Option<Layout> {
        let processors = vec![registers(class, machine, text)?];
        let regions =
            vec![Region { address: 0x1000, size: 0x1000 }, Region { address: 0x4000_0000, size: 64 << 20 }];
        Some(Layout { class, machine, processors, regions })
    }

    #[test]
    fn memory_is_where_it_was_and_zeros_take_no_place() {
        let riscv: Vec<_> = (0..32).map(|n| format!("x{n}/{} {n:08x}", RISCV[n])).collect();
        let layout =
            layout(Class::Elf32, Machine::Riscv, &format!(" pc 80000000\n{}", riscv.join(" "))).unwrap();
        let file = tempfile::tempfile().unwrap();
        layout.write(&OneByte(0x4100_0001), &file, 1 << 20).unwrap();
        let found = file.metadata().unwrap();
        assert!(found.len() > 64 << 20 && found.blocks() * 512 < 1 << 16, "{} blocks", found.blocks());
        let cache = object::ReadCache::new(&file);
        let core = object::File::parse(&cache).unwrap();
        assert_eq!(core.kind(), object::ObjectKind::Core);
        let segments: Vec<_> = core.segments().map(|it| (it.address(), it.size())).collect();
        assert_eq!(segments, [(0x1000, 0x1000), (0x4000_0000, 64 << 20)]);
        let ram = core.segments().nth(1).unwrap();
        assert_eq!(ram.data_range(0x4100_0000, 4).unwrap().unwrap(), [0, 7, 0, 0]);
        assert_eq!(layout.notes().len(), 20 + 204);
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let arm: Vec<_> = (0..16).map(|n| format!("R{n:02}=0000000{}", n % 10)).collect();
        let layout = layout(Class::Elf32, Machine::Arm, &format!("{} XPSR=41000000", arm.join(" "))).unwrap();
        let file = tempfile::tempfile().unwrap();
        let refused = layout.write(&OneByte(0x1000), &file, 4096).unwrap_err().to_string();
        assert!(refused.contains("larger than CoreTotal and CorePerClient"), "{refused}");
    }

    #[test]
    fn a_text_without_a_register_is_no_processor() {
        assert!(layout(Class::Elf64, Machine::Aarch64, "PC=0000000040100010 X00=0").is_none());
        assert!(layout(Class::Elf64, Machine::Other(62), "RIP=0").is_none());
    }
}
