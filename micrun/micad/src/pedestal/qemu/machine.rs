//! Which emulator and which machine a firmware gets.

use libmica::CreateMessage;
use micrun_firmware::Pedestal;
use micrun_firmware::client_conf::{self, QemuSection};
use micrun_firmware::elf::{self, Requirements};
use micrun_firmware::qemu::{Emulator, default_memory_mb};

use super::image::Image;
use crate::Result;
use crate::pedestal::ClientSpec;

/// What QEMU is to emulate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// The program, and what it is told where nothing is said.
    pub(super) emulator: &'static Emulator,
    /// `-machine`.
    pub(super) name: client_conf::Machine,
    /// `-cpu`; `None` leaves it to the machine.
    pub(super) cpu: Option<client_conf::Cpu>,
    /// `-m` in MiB; `None` leaves it to the machine, as boards with soldered memory need.
    pub(super) memory_mb: Option<u32>,
    /// `-smp`.
    pub(super) cpus: u32,
    /// `-append`: `bootargs` in the device tree.
    pub(super) append: Option<String>,
}

/// The machine for this client and firmware, or why there is none.
pub(super) fn choose(spec: &ClientSpec, image: &Image) -> Result<Machine> {
    let info = image.info();
    let check = |requirements| elf::check(info, requirements).map_err(|e| image.refuse(e.to_string()));
    let requirements = Requirements::of(Pedestal::Qemu);
    check(requirements)?;
    let emulator =
        Emulator::of(info).ok_or_else(|| image.refuse("there is no emulator for its processor"))?;
    let machine = select(&spec.message, &spec.qemu, emulator);
    if let (Some(memory), true) = (machine.memory_mb, machine.name.is_virt()) {
        check(requirements.with_virt_memory(info.machine, memory))?;
    }
    Ok(machine)
}

fn select(message: &CreateMessage, section: &QemuSection, emulator: &'static Emulator) -> Machine {
    let name = emulator.complete(section.machine.clone().unwrap_or_default());
    let asked = u32::try_from(message.memory).ok().filter(|&mb| mb > 0);
    Machine {
        emulator,
        cpu: section.cpu.clone().or_else(|| emulator.default_cpu(&name)),
        memory_mb: asked.or(section.memory).or_else(|| default_memory_mb(&name)),
        name,
        cpus: u32::try_from(message.vcpus).unwrap_or(1).max(1),
        append: section.append.clone(),
    }
}
