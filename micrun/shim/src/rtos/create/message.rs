//! The create message of the mica protocol.

use std::path::PathBuf;

use libmica::CreateMessage;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::{Firmware, Pedestal};

use crate::oci::resources::Resources;

/// What the daemon is asked for: a client `id` of the firmware at `path`, whose pedestal reads `pedestal_conf`.
pub(super) fn of(
    id: &str,
    path: PathBuf,
    pedestal_conf: PathBuf,
    firmware: &Firmware,
    resources: &Resources,
    policy: &ContainerPolicy,
) -> CreateMessage {
    let settings = &firmware.settings;
    let mica = firmware.conf.as_ref().map(|conf| conf.mica.clone()).unwrap_or_default();
    CreateMessage {
        name: id.to_owned(),
        path,
        pedestal: settings.pedestal.value.as_str().to_owned(),
        pedestal_conf,
        debug: mica.debug.unwrap_or(false),
        cpu: cpus(firmware, resources),
        vcpus: number(settings.vcpu.value),
        max_vcpus: number(settings.max_vcpu.value),
        cpu_weight: number(resources.cpu_weight().or(mica.cpu_weight).unwrap_or(0)),
        cpu_capacity: number(resources.cpu_capacity().or(mica.cpu_capacity).unwrap_or(0)),
        memory: number(settings.memory_mb.value),
        max_memory: number(
            policy.firmware.memory_mb.cap_number(mica.max_memory.unwrap_or(settings.memory_mb.value)),
        ),
        iomem: mica.iomem.unwrap_or_default(),
        network: mica.network.unwrap_or_default(),
    }
}

/// What the client asks for as its CPUs. Those of the host are not an image's to choose: on qemu its word counts for
/// nothing, and elsewhere the pedestal needed the host's permission.
pub(super) fn cpus(firmware: &Firmware, resources: &Resources) -> String {
    let is_emulated = firmware.settings.pedestal.value == Pedestal::Qemu;
    let in_image = firmware.conf.as_ref().and_then(|conf| conf.mica.cpu.clone());
    in_image.filter(|_| !is_emulated).unwrap_or_else(|| resources.cpu.cpus.clone())
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}
