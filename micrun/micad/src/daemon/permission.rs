//! Whether the host allows a client, as far as its creator says what it wants. What only the firmware tells is asked
//! when it starts.

use libmica::CreateMessage;
use micrun_firmware::Policy;
use micrun_firmware::client_conf::QemuSection;

use crate::Result;
use crate::error::file;
use crate::pedestal::Pedestal;

/// Refuses a client that the policy does not allow.
pub(super) fn check(
    policy: &Policy,
    pedestal: &dyn Pedestal,
    message: &CreateMessage,
    qemu: &QemuSection,
) -> Result<()> {
    policy.pedestals.check("pedestal", pedestal.name())?;
    let size = std::fs::metadata(&message.path).map_err(file("examine", &message.path))?.len();
    policy.check_size("the firmware", size)?;
    // -1 and 0 say nothing.
    let said = |number: i32| u32::try_from(number).ok().filter(|number| *number > 0);
    if let Some(memory) = said(message.memory).or(qemu.memory) {
        policy.memory_mb.check("memory in MiB", memory)?;
    }
    if let Some(vcpus) = said(message.vcpus) {
        policy.vcpus.check("a number of virtual CPUs", vcpus)?;
    }
    if let Some(machine) = &qemu.machine {
        policy.check_machine(machine)?;
    }
    if let Some(cpu) = &qemu.cpu {
        policy.check_cpu(cpu)?;
    }
    Ok(())
}
