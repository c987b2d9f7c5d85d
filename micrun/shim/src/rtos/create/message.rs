//! The create message of the mica protocol.

use std::path::PathBuf;

use libmica::CreateMessage;
use micrun_firmware::Firmware;

use crate::oci::resources::Resources;

/// What the daemon is asked for: a client `id` of the firmware at `path`, whose pedestal reads `pedestal_conf`.
pub(super) fn of(
    id: &str,
    path: PathBuf,
    pedestal_conf: PathBuf,
    firmware: &Firmware,
    resources: &Resources,
) -> CreateMessage {
    let settings = &firmware.settings;
    let mica = firmware.conf.as_ref().map(|conf| conf.mica.clone()).unwrap_or_default();
    CreateMessage {
        name: id.to_owned(),
        path,
        pedestal: settings.pedestal.value.as_str().to_owned(),
        pedestal_conf,
        debug: mica.debug.unwrap_or(false),
        cpu: mica.cpu.unwrap_or_else(|| resources.cpu.cpus.clone()),
        vcpus: number(settings.vcpu.value),
        max_vcpus: number(settings.max_vcpu.value),
        cpu_weight: number(resources.cpu_weight().or(mica.cpu_weight).unwrap_or(0)),
        cpu_capacity: number(resources.cpu_capacity().or(mica.cpu_capacity).unwrap_or(0)),
        memory: number(settings.memory_mb.value),
        max_memory: number(mica.max_memory.unwrap_or(settings.memory_mb.value)),
        iomem: mica.iomem.unwrap_or_default(),
        network: mica.network.unwrap_or_default(),
    }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
