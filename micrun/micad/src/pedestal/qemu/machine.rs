//! Which emulator and which machine a firmware gets.

use libmica::CreateMessage;
use micrun_firmware::client_conf::QemuSection;
use micrun_firmware::elf::{self, Class, Requirements};
use micrun_firmware::{ElfInfo, Pedestal};

use super::image::Image;
use crate::Result;
use crate::pedestal::ClientSpec;

/// The machine where nothing else is asked for: QEMU's own, with a PL011 or 16550 console.
const DEFAULT_MACHINE: &str = "virt";
/// Memory of that machine where nothing else is asked for, in MB.
const DEFAULT_MEMORY_MB: u32 = 64;

/// What QEMU is to emulate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Machine {
    /// Name of the program.
    pub(super) emulator: &'static str,
    /// `-machine`: its name with options.
    pub(super) name: String,
    /// `-cpu`; `None` leaves it to the machine.
    pub(super) cpu: Option<String>,
    /// `-m` in MB; `None` leaves it to the machine, as boards with soldered memory need.
    pub(super) memory_mb: Option<u32>,
    /// `-smp`.
    pub(super) cpus: u32,
    /// `-bios`.
    pub(super) bios: Option<&'static str>,
    /// `-append`: `bootargs` in the device tree.
    pub(super) append: Option<String>,
}

/// The machine for this client and firmware, or why there is none.
pub(super) fn choose(spec: &ClientSpec, image: &Image) -> Result<Machine> {
    let info = image.info();
    let machine = select(&spec.message, &spec.qemu, info).map_err(|problem| image.refuse(problem))?;
    let mut requirements = Requirements::of(Pedestal::Qemu);
    if let (Some(memory), true) = (machine.memory_mb, machine.is_virt()) {
        requirements = requirements.with_virt_memory(info.machine, memory);
    }
    elf::check(info, requirements).map_err(|e| image.refuse(e.to_string()))?;
    Ok(machine)
}

impl Machine {
    fn is_virt(&self) -> bool {
        self.name.split(',').next() == Some(DEFAULT_MACHINE)
    }
}

fn select(message: &CreateMessage, section: &QemuSection, info: &ElfInfo) -> Result<Machine, String> {
    let emulator = match (info.machine, info.class) {
        (elf::Machine::Aarch64, _) => "qemu-system-aarch64",
        (elf::Machine::Arm, _) => "qemu-system-arm",
        (elf::Machine::Riscv, Class::Elf64) => "qemu-system-riscv64",
        (elf::Machine::Riscv, Class::Elf32) => "qemu-system-riscv32",
        (elf::Machine::Other(_), _) => {
            return Err(format!("it is for {}; aarch64, arm and riscv can be emulated", info.machine));
        }
    };
    let aarch64 = info.machine == elf::Machine::Aarch64;
    let mut name = section.machine.as_ref().map_or(DEFAULT_MACHINE.to_owned(), ToString::to_string);
    let virt = name.split(',').next() == Some(DEFAULT_MACHINE);
    // QEMU's default is a GICv2, for which RTOS ports to this machine are not made.
    if aarch64 && virt && !name.contains("gic-version") {
        name.push_str(",gic-version=3");
    }
    let cpu = section.cpu.as_ref().map(ToString::to_string);
    let asked = u32::try_from(message.memory).ok().filter(|&mb| mb > 0);
    Ok(Machine {
        emulator,
        name,
        cpu: cpu.or((aarch64 && virt).then(|| "cortex-a53".to_owned())),
        memory_mb: asked.or(section.memory).or(virt.then_some(DEFAULT_MEMORY_MB)),
        cpus: u32::try_from(message.vcpus).unwrap_or(1).max(1),
        // A bare-metal RISC-V firmware is what runs at reset, in place of QEMU's OpenSBI.
        bios: (info.machine == elf::Machine::Riscv).then_some("none"),
        append: section.append.clone(),
    })
}
