//! The machines of the qemu pedestal: which emulator runs a firmware, and what it gets where nothing is
//! said. The builder, the shim and the daemon ask here; `docs/CLIENT_CONF.md` has the table.

use crate::client_conf::{Cpu, Machine, MachineOption};
use crate::elf::{self, Class, ElfInfo};

/// The memory of the machine `virt` where nothing else is said, in MiB. A board has its own.
pub const MEMORY_MB: u32 = 64;

/// An emulator, and what it is told on `virt`, the default machine, where the client.conf says nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Emulator {
    /// The processor of the firmware.
    pub processor: elf::Machine,
    /// Whether it is one of 32 or of 64 bits.
    pub class: Class,
    /// The name of the program.
    pub program: &'static str,
    /// An option of the machine. QEMU's own default is an older interrupt controller than RTOS ports
    /// to `virt` expect.
    pub option: Option<(MachineOption, &'static str)>,
    /// The CPU model; `None` leaves it to QEMU.
    pub cpu: Option<&'static str>,
    /// `-bios`. A RISC-V firmware is itself what runs at reset, in place of QEMU's boot code.
    pub bios: Option<&'static str>,
}

/// Every emulator there is.
pub const EMULATORS: [Emulator; 4] = [
    Emulator {
        processor: elf::Machine::Aarch64,
        class: Class::Elf64,
        program: "qemu-system-aarch64",
        option: Some((MachineOption::GicVersion, "3")),
        cpu: Some("cortex-a53"),
        bios: None,
    },
    Emulator {
        processor: elf::Machine::Arm,
        class: Class::Elf32,
        program: "qemu-system-arm",
        option: None,
        cpu: None,
        bios: None,
    },
    Emulator {
        processor: elf::Machine::Riscv,
        class: Class::Elf64,
        program: "qemu-system-riscv64",
        option: None,
        cpu: None,
        bios: Some("none"),
    },
    Emulator {
        processor: elf::Machine::Riscv,
        class: Class::Elf32,
        program: "qemu-system-riscv32",
        option: None,
        cpu: None,
        bios: Some("none"),
    },
];

impl Emulator {
    /// The emulator of this firmware, if there is one.
    pub fn of(firmware: &ElfInfo) -> Option<&'static Self> {
        EMULATORS
            .iter()
            .find(|emulator| (emulator.processor, emulator.class) == (firmware.machine, firmware.class))
    }

    /// The CPU model of `machine` where nothing is said; `None` leaves it to QEMU.
    pub fn default_cpu(&self, machine: &Machine) -> Option<Cpu> {
        self.cpu.filter(|_| machine.is_virt()).and_then(|cpu| cpu.parse().ok())
    }

    /// `machine` with the options that it gets where nothing is said.
    pub fn complete(&self, machine: Machine) -> Machine {
        match self.option {
            Some((option, value)) if machine.is_virt() => machine.with_default(option, value),
            _ => machine,
        }
    }
}

/// The memory of `machine` in MiB where nothing is said; `None` leaves it to QEMU, as boards with soldered
/// memory need.
pub fn default_memory_mb(machine: &Machine) -> Option<u32> {
    machine.is_virt().then_some(MEMORY_MB)
}
