//! What a machine that waits has to be for a firmware: all that cannot be changed any more.
//!
//! QEMU does by itself what it would do for the firmware. A waiting machine is started with a firmware in the true one's
//! place that has its entry and its lowest address, so that QEMU sets the registers and puts the device tree as ever:
//! `hw/arm/boot.c` looks at these two alone. Memory has the size that was asked for, for the same reason.

use micrun_firmware::elf::{Machine as Processor, Segment};
use micrun_firmware::{CpuList, ElfInfo, qemu};

use super::super::accelerator::Accelerator;
use super::super::machine::Machine;
use crate::pedestal::ClientSpec;

/// A kind of machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Kind {
    /// The whole machine, the firmware's entry and its command line included.
    pub(super) machine: Machine,
    /// The lowest address that the firmware loads.
    pub(super) lowest: u64,
    /// Where the machine's memory begins.
    pub(super) base: u64,
    /// How many consoles it has.
    pub(super) consoles: usize,
    /// The CPUs that the process is bound to, if it is.
    pub(super) cpus: Option<CpuList>,
    /// How soon the kernel is to kill it when memory runs out.
    pub(super) oom_score: u16,
}

impl Kind {
    /// The kind that this client's firmware needs. `None` if no machine can wait for it: only QEMU's `virt` for 64-bit Arm
    /// does, without boot code and a debugger, for firmware that is loaded into its memory alone.
    pub(in super::super) fn of(
        spec: &ClientSpec,
        machine: &Machine,
        firmware: &ElfInfo,
        cpus: Option<CpuList>,
        oom_score: u16,
    ) -> Option<Self> {
        let plain = machine.name.is_virt()
            && machine.accelerator == Accelerator::Tcg
            && machine.bios.is_none()
            && machine.second_core.is_none();
        if !plain || firmware.machine != Processor::Aarch64 || spec.message.debug {
            return None;
        }
        let base = qemu::board(&machine.name, firmware)?.ram?.base;
        let size = u64::from(machine.memory_mb?) << 20;
        let is_loaded = |it: &Segment| {
            // QEMU moves the entry of a firmware that is loaded elsewhere than it runs.
            it.memsz > 0
                && it.paddr == it.vaddr
                && it.paddr.checked_sub(base).is_some_and(|at| at + it.memsz <= size)
        };
        let lowest = firmware.lowest().filter(|_| firmware.segments.iter().all(is_loaded))?;
        let consoles = 1 + usize::from(spec.shell_link.is_some());
        Some(Self { machine: machine.clone(), lowest, base, consoles, cpus, oom_score })
    }

    /// The machine's memory in bytes.
    pub(super) fn memory(&self) -> u64 {
        u64::from(self.machine.memory_mb.unwrap_or_default()) << 20
    }

    /// The firmware in place of the true one: an ELF file of 64-bit Arm with the same entry, and with one segment of four
    /// zeros at the lowest address (System V ABI, "Object Files").
    pub(super) fn placeholder(&self) -> Vec<u8> {
        const HEADER: u16 = 64;
        const PROGRAM_HEADER: u16 = 56;
        const ZEROS: [u8; 4] = [0; 4];
        let (offset, size) = (u64::from(HEADER + PROGRAM_HEADER), ZEROS.len() as u64);
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        // ET_EXEC, EM_AARCH64; version 1; entry, program headers, no section headers; no flags
        elf.extend([2_u16, 183].iter().flat_map(|half| half.to_le_bytes()));
        elf.extend(1_u32.to_le_bytes());
        elf.extend([self.machine.entry, HEADER.into(), 0].iter().flat_map(|word| word.to_le_bytes()));
        elf.extend(0_u32.to_le_bytes());
        elf.extend([HEADER, PROGRAM_HEADER, 1, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
        // PT_LOAD, readable and executable
        elf.extend([1_u32, 5].iter().flat_map(|word| word.to_le_bytes()));
        let segment = [offset, self.lowest, self.lowest, size, size, size];
        elf.extend(segment.iter().flat_map(|word| word.to_le_bytes()));
        elf.extend(ZEROS);
        elf
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A kind for a firmware that begins there.
    pub(in super::super) fn kind(entry: u64) -> Kind {
        let machine = Machine::plain(entry);
        Kind { machine, lowest: 0x4010_0000, base: 0x4000_0000, consoles: 1, cpus: None, oom_score: 0 }
    }

    #[test]
    fn the_placeholder_is_a_firmware_that_the_checks_take() {
        let info = ElfInfo::parse(&kind(0x4010_0000).placeholder()).unwrap();
        assert_eq!((info.entry, info.lowest()), (0x4010_0000, Some(0x4010_0000)));
        micrun_firmware::elf::check(&info, &micrun_firmware::elf::Requirements::default()).unwrap();
    }
}
