//! Whether QEMU has a machine or a CPU of this name, for whoever may mistype one. The daemon does not ask: its
//! QEMU may be newer than these lists.

use super::BOARDS;
use super::boards::{CPUS, OTHERS};
use crate::client_conf::{Cpu, Machine};
use crate::text::quoted;

/// How many near names a message has.
const NEAR: usize = 3;

/// Whether the machine is one of QEMU's; if not, what to say.
pub fn check_machine(machine: &Machine) -> Result<(), String> {
    let known = || BOARDS.iter().map(|board| board.machine).chain(OTHERS.iter().copied());
    if machine.is_virt() || known().any(|name| name == machine.name()) {
        return Ok(());
    }
    Err(unknown("machine", machine.name(), known()))
}

/// Whether the CPU is one of QEMU's; if not, what to say.
pub fn check_cpu(cpu: &Cpu) -> Result<(), String> {
    if CPUS.contains(&cpu.as_str()) {
        return Ok(());
    }
    Err(unknown("CPU", cpu.as_str(), CPUS.iter().copied()))
}

fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let mut near: Vec<_> = known.map(|it| (strsim::damerau_levenshtein(name, it), it)).collect();
    near.sort_unstable();
    near.dedup();
    let near: Vec<_> = near.into_iter().take(NEAR).map(|(_, it)| it).collect();
    format!("QEMU has no {what} {}; the nearest names are {} (docs/BOARDS.md)", quoted(name), near.join(", "))
}
