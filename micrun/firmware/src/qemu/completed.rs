//! The machine of a firmware once everything is said: what client.conf leaves open is decided here, for the builder, the
//! shim and the daemon alike.

use super::{Bios, Board, MEMORY_MB, board, default_machine};
use crate::client_conf::{Cpu, Machine, QemuSection};
use crate::elf::ElfInfo;

/// What QEMU is told of a machine.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Its line of the table, if there is one for this firmware.
    pub board: Option<&'static Board>,
    /// `-machine`, with the options that it gets where nothing is said.
    pub machine: Machine,
    /// `-cpu`; `None` leaves it to the machine.
    pub cpu: Option<Cpu>,
    /// `-bios`; `None` where there is no such choice, whatever is said.
    pub bios: Option<Bios>,
}

impl Completed {
    /// What this section of client.conf and the firmware itself make of it.
    pub fn of(section: &QemuSection, elf: &ElfInfo) -> Self {
        let machine = section.machine.clone().unwrap_or_else(|| default_machine(elf));
        let board = board(&machine, elf);
        Self {
            board,
            cpu: section.cpu.clone().or_else(|| board.and_then(Board::default_cpu)),
            bios: Bios::of(elf).map(|linked_for| section.bios.clone().unwrap_or(linked_for)),
            machine: match board {
                Some(board) => board.complete(machine),
                None => machine,
            },
        }
    }

    /// Its memory in MiB where nothing is said, 0 for what it has by itself; `None` where it is soldered.
    pub fn default_memory_mb(&self) -> Option<u32> {
        match self.board {
            Some(board) => board.default_memory_mb(),
            None if self.machine.is_virt() => Some(MEMORY_MB),
            None => Some(0),
        }
    }
}
