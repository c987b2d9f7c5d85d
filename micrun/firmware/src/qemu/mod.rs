//! The machines of the qemu pedestal: which emulator runs a firmware, and what it gets where nothing is
//! said. The builder, the shim and the daemon ask here; `docs/BOARDS.md` is made from the tables.

mod bios;
mod boards;
mod completed;
mod doc;
mod names;
pub(crate) mod ports;
mod propose;

pub use bios::{Bios, check_bios};
pub use boards::{BOARDS, Board, MEMORY_MB, Ram, SecondCore};
pub use completed::Completed;
pub use doc::page;
pub use names::{check_cpu, check_machine};
pub use ports::{PORTS, Port};
pub use propose::{Found, Proposal, named, propose};

use crate::client_conf::{Cpu, Machine, MachineOption};
use crate::elf::{self, ElfInfo, Family, Fault, Processor, Requirements, Window};
use crate::{Error, Evidence, Result};

/// The line of the table for this machine, with a processor for this firmware.
pub fn board(machine: &Machine, elf: &ElfInfo) -> Option<&'static Board> {
    BOARDS.iter().find(|board| board.is(machine) && board.has_code_of(elf))
}

/// The emulator for a machine that is not in the table: the one that has most of these processors.
pub const fn emulator(family: Family) -> &'static str {
    match family {
        Family::A64 => "qemu-system-aarch64",
        Family::A32 | Family::R | Family::M => "qemu-system-arm",
        Family::Riscv64 => "qemu-system-riscv64",
        Family::Riscv32 => "qemu-system-riscv32",
    }
}

/// The machine of a firmware of which nobody says what it wants: `virt`, or the first board of the table that
/// has its processor and memory where it is linked.
pub fn default_machine(elf: &ElfInfo) -> Machine {
    let microcontroller = matches!(elf.family(), Some(Family::M | Family::R));
    let boards = || BOARDS.iter().filter(|board| board.runs(elf));
    match boards().find(|board| board.fits(elf)).or_else(|| boards().next()) {
        Some(board) if microcontroller => board.machine(),
        _ => Machine::default(),
    }
}

impl Board {
    /// Whether this is the line of that machine. QEMU's older `virt` machines differ in devices alone.
    fn is(&self, machine: &Machine) -> bool {
        self.machine == machine.name() || self.is_virt() && machine.is_virt()
    }

    fn is_virt(&self) -> bool {
        self.machine == Machine::default().name()
    }

    /// The machine without options.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "a test reads every name of the table"
    )]
    pub fn machine(&self) -> Machine {
        self.machine.parse().expect("a name in the table is one")
    }

    /// `machine` with the options that it gets where nothing is said. QEMU's own default is an older
    /// interrupt controller than RTOS ports to `virt` expect.
    pub fn complete(&self, machine: Machine) -> Machine {
        match self.family {
            Family::A64 if self.is_virt() => machine.with_default(MachineOption::GicVersion, "3"),
            _ => machine,
        }
    }

    /// The CPU model where nothing is said; `None` leaves it to QEMU.
    pub fn default_cpu(&self) -> Option<Cpu> {
        // QEMU's default for `virt` is one of 32 bits.
        (self.is_virt() && self.family == Family::A64).then(|| self.model.parse().ok())?
    }

    /// Its memory in MiB where nothing is said; `None` where it is soldered.
    pub fn default_memory_mb(&self) -> Option<u32> {
        self.ram.map(|ram| ram.unsaid)
    }

    /// The second of its serial ports if the firmware knows that one alone: its registers.
    pub fn only_second_port(&self, evidence: &Evidence) -> Option<u32> {
        match self.consoles {
            [first, second, ..] if self.two_ports && !evidence.has_one_of(&[*first]) => {
                Some(*second).filter(|second| evidence.has_one_of(&[*second]))
            }
            _ => None,
        }
    }

    /// Its soldered memory in MiB, rounded up. A window that shows memory of another one counts as well.
    pub fn soldered_mb(&self) -> u32 {
        let bytes: u64 = self.windows.iter().map(|window| window.size).sum();
        u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX)
    }

    /// Where its memory is, with `memory_mb` MiB of what can be chosen, beside the boot code of `bios`.
    pub fn windows(&self, memory_mb: u32, bios: Option<&Bios>) -> Vec<Window> {
        let chosen = self.ram.map(|ram| {
            let size = u64::from(memory_mb.min(ram.most)) << 20;
            let boot_code = bios.map_or(0, |bios| bios.size(self.family)).min(size);
            Window { base: ram.base + boot_code, size: size - boot_code }
        });
        chosen.into_iter().chain(self.windows.iter().copied()).collect()
    }

    /// Whether the firmware is code of its processor's family, perhaps too new.
    fn has_code_of(&self, elf: &ElfInfo) -> bool {
        elf.processor.as_ref().is_some_and(|built_for| Processor::new(self.family).runs(built_for))
    }

    /// Whether it has a processor that runs the firmware's code.
    pub fn runs(&self, elf: &ElfInfo) -> bool {
        let own = Processor { family: self.family, version: self.version, model: None };
        elf.processor.as_ref().is_some_and(|built_for| own.runs(built_for))
    }

    /// Whether it runs the firmware and has memory where that is linked.
    pub fn fits(&self, elf: &ElfInfo) -> bool {
        self.runs(elf) && self.check(elf, self.ram.map_or(0, |ram| ram.most), Bios::of(elf).as_ref()).is_ok()
    }

    /// Whether the firmware begins where the processor does, in flash.
    fn boots_from_flash(&self, elf: &ElfInfo) -> bool {
        self.flash.is_some_and(|flash| flash.base == elf.entry)
    }

    /// Whether the firmware can run on it, with so much memory.
    pub fn check(&self, elf: &ElfInfo, memory_mb: u32, bios: Option<&Bios>) -> Result<()> {
        if !self.runs(elf) {
            return Err(other_processor(self.machine, self.model, elf));
        }
        let begins = match (bios, self.ram) {
            (Some(Bios::None), Some(ram)) => Some(ram.base),
            _ => None,
        };
        let place = format!("the machine {}", self.machine);
        let mut windows = self.windows(memory_mb, bios);
        windows.extend(self.flash.filter(|_| self.boots_from_flash(elf)));
        let size = windows.iter().map(|window| window.size).sum();
        let requirements = Requirements { begins, size: Some(size), ..Requirements::default() };
        elf::check(elf, &requirements.with_windows(place, windows))
    }
}

/// Whether the firmware can run on this machine, with so much memory (0 for what it has by itself). Of a
/// machine that is not in the table it is only known how much memory it was given.
pub fn check(elf: &ElfInfo, machine: &Machine, memory_mb: u32, bios: Option<&Bios>) -> Result<()> {
    if let Some(board) = board(machine, elf) {
        return board.check(elf, memory_mb, bios);
    }
    if let Some(board) = BOARDS.iter().find(|board| board.is(machine)) {
        return Err(other_processor(board.machine, board.model, elf));
    }
    match memory_mb {
        0 => Ok(()),
        some => elf::check(elf, &Requirements::default().with_memory(some)),
    }
}

fn other_processor(machine: &str, has: &str, elf: &ElfInfo) -> Error {
    let others = propose::fitting(elf).map(|board| board.machine).collect::<Vec<_>>();
    Error::elf(Fault::OtherProcessor {
        processor: elf.processor.as_ref().map_or_else(String::new, ToString::to_string),
        other: format!("the machine {machine} has {has}"),
        others: if others.is_empty() { "none that is known here fits".to_owned() } else { others.join(", ") },
    })
}
