//! Which emulator and which machine a firmware gets.

use libmica::CreateMessage;
use micrun_firmware::client_conf::{self, Cpu, Device, Devices, QemuSection};
use micrun_firmware::elf::{self, ElfInfo, Family, Requirements};
use micrun_firmware::qemu::{self, Bios, Board, Completed, SecondCore};
use micrun_firmware::{Pedestal, Policy};

use super::accelerator::Accelerator;
use super::image::Image;
use crate::Result;
use crate::pedestal::ClientSpec;

/// What QEMU is to emulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    /// The program.
    pub(super) program: &'static str,
    /// What it must be told for this board.
    pub(super) arguments: &'static [&'static str],
    /// The core that runs the firmware, if the machine boots another.
    pub(super) second_core: Option<SecondCore>,
    /// Where the firmware begins.
    pub(super) entry: u64,
    /// `-machine`.
    pub(super) name: client_conf::Machine,
    /// `-accel`.
    pub(super) accelerator: Accelerator,
    /// `-cpu`; `None` leaves it to the machine.
    pub(super) cpu: Option<client_conf::Cpu>,
    /// `-m` in MiB; `None` leaves it to the machine, as boards with soldered memory need.
    pub(super) memory_mb: Option<u32>,
    /// `-smp`.
    pub(super) cpus: u32,
    /// `-bios`; `None` where there is no such choice.
    pub(super) bios: Option<Bios>,
    /// `-device`.
    pub(super) devices: Vec<Device>,
    /// Whether the machine's second serial port is the console, and its first one the other.
    pub(super) swaps_ports: bool,
    /// `-append`: `bootargs` in the device tree.
    pub(super) append: Option<String>,
}

impl Machine {
    /// `-cpu`.
    pub(super) fn model(&self) -> Option<&str> {
        match self.accelerator {
            Accelerator::Kvm => Some("host"),
            Accelerator::Tcg => self.cpu.as_ref().map(Cpu::as_str),
        }
    }

    /// `-machine`. Arm's `virt` has ACPI tables unless it is told otherwise: 2.5 MiB that no RTOS reads. One that is
    /// `restored` keeps them, because its state may be that of a machine that had them.
    pub(super) fn option(&self, restored: bool) -> String {
        if self.accelerator == Accelerator::Kvm {
            return format!("{},gic-version=host,acpi=off", self.name.name());
        }
        let arm = matches!(self.program, "qemu-system-aarch64" | "qemu-system-arm");
        let acpi = if arm && self.name.is_virt() && !restored { ",acpi=off" } else { "" };
        format!("{}{acpi}", self.name)
    }
}

#[cfg(test)]
impl Machine {
    /// A small `virt` for a firmware that begins there.
    #[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    pub(super) fn plain(entry: u64) -> Self {
        Self {
            program: "qemu-system-aarch64",
            arguments: &[],
            second_core: None,
            entry,
            name: "virt,gic-version=3".parse().unwrap(),
            accelerator: Accelerator::Tcg,
            cpu: Some("cortex-a53".parse().unwrap()),
            memory_mb: Some(64),
            cpus: 1,
            bios: None,
            devices: Vec::new(),
            swaps_ports: false,
            append: None,
        }
    }
}

/// The machine for this client and firmware, or why there is none.
fn choose(policy: &Policy, spec: &ClientSpec, image: &Image) -> Result<Machine> {
    let info = image.info();
    let refuse = |error: micrun_firmware::Error| image.refuse(error.to_string());
    elf::check(info, &Requirements::of(Pedestal::Qemu)).map_err(refuse)?;
    let family = info.family().ok_or_else(|| image.refuse("there is no emulator for its processor"))?;
    let mut machine = select(&spec.message, &spec.qemu, info, family);
    let is_virt = machine.name.is_virt() && machine.bios.is_none() && family == Family::A64;
    machine.accelerator = Accelerator::choose(is_virt, &spec.qemu, policy.kvm.value);
    qemu::check(info, &machine.name, machine.memory_mb.unwrap_or(0), machine.bios.as_ref())
        .map_err(refuse)?;
    Ok(machine)
}

/// The machine for this client and firmware. Refused if there is none, or if the host does not allow it.
pub(super) fn permitted(policy: &Policy, spec: &ClientSpec, image: &Image) -> Result<Machine> {
    let machine = choose(policy, spec, image)?;
    policy.pedestals.check("pedestal", super::NAME)?;
    policy.check_size("the firmware", image.info().file_size)?;
    policy.check_machine(&machine.name)?;
    // With KVM there is none to choose.
    if let Some(cpu) = machine.cpu.as_ref().filter(|_| machine.accelerator == Accelerator::Tcg) {
        policy.check_cpu(cpu)?;
    }
    policy.vcpus.check("a number of virtual CPUs", machine.cpus)?;
    let soldered = || qemu::board(&machine.name, image.info()).map_or(0, Board::soldered_mb);
    policy.memory_mb.check("memory in MiB", machine.memory_mb.unwrap_or_else(soldered))?;
    Ok(machine)
}

fn select(message: &CreateMessage, section: &QemuSection, info: &ElfInfo, family: Family) -> Machine {
    let completed = Completed::of(section, info);
    let memory_mb = completed.default_memory_mb();
    let Completed { board, machine, cpu, bios } = completed;
    let asked = u32::try_from(message.memory).ok().filter(|&mb| mb > 0);
    let said = asked.or(section.memory);
    Machine {
        program: board.map_or_else(|| qemu::emulator(family), |board| board.program),
        arguments: board.map_or(&[], |board| board.arguments),
        second_core: board.and_then(|board| board.second_core),
        entry: info.entry,
        name: machine,
        accelerator: Accelerator::Tcg,
        cpu,
        memory_mb: memory_mb.map(|unsaid| said.unwrap_or(unsaid)).filter(|megabytes| *megabytes > 0),
        cpus: u32::try_from(message.vcpus).unwrap_or(1).max(1),
        bios,
        devices: section.devices.iter().flat_map(Devices::all).copied().collect(),
        swaps_ports: section.console_port == Some(2),
        append: section.append.clone(),
    }
}
