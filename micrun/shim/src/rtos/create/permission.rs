//! Whether host and daemon allow the firmware, asked before anything of it is copied.

use micrun_firmware::{Firmware, HostConf, Pedestal};

use super::message;
use crate::error::Result;
use crate::oci::resources::Resources;
use crate::rtos::terms::Terms;

/// Refuses what the policy of the host, or that of its daemon, does not allow.
pub(super) fn check(
    restores: bool,
    firmware: &Firmware,
    resources: &Resources,
    host: &HostConf,
    terms: &Terms,
) -> Result<()> {
    if restores {
        host.policy().check_restore()?;
    }
    if firmware.settings.pedestal.value == Pedestal::BareMetal {
        // The daemon's own list is of names, which only the daemon knows for a number.
        host.policy().firmware.check_remoteproc(&message::cpus(firmware, resources))?;
    }
    if let Some(policy) = &terms.policy {
        firmware.settings.check_policy(policy, &firmware.elf)?;
        policy.check_size("the firmware", firmware.elf.file_size)?;
    }
    Ok(())
}
