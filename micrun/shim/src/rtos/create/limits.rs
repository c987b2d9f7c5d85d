//! What limits a firmware: the memory of its machine, and the cgroup of its emulator.

use micrun_firmware::policy::{ContainerPolicy, DAEMON_FILE};
use micrun_firmware::snapshot::Machine;
use micrun_firmware::{Firmware, HostConf, Origin, Pedestal, Setting, SharedCpus};

use crate::cgroup::Cgroup;
use crate::error::{Error, Result};
use crate::oci::bundle::Spec;
use crate::oci::resources::Resources;
use crate::rtos::terms::Terms;
use crate::task::budget::Share;
use crate::task::context::Context;

/// `linux.cgroupsPath`, or where containerd's own clients put a container: the machine has one hierarchy for the
/// containers of all namespaces, and those of two may have the same id.
pub(super) fn cgroups_path(context: &Context, spec: &Spec, id: &str) -> String {
    match spec.linux.cgroups_path.as_str() {
        "" => format!("/{}/{id}", context.namespace),
        path => path.to_owned(),
    }
}

/// The cgroup of an emulator, which is not made yet. A firmware on a core of its own is no process that a cgroup
/// could hold.
pub(super) fn cgroup(
    context: &Context,
    spec: &Spec,
    id: &str,
    machine: &Machine,
    path: &str,
) -> Result<Option<Cgroup>> {
    let unsupported = spec.linux.resources.unsupported();
    if !unsupported.is_empty() {
        log::warn!(
            container = id;
            "{id}: these limits have no effect on firmware: {}", unsupported.join(", ")
        );
    }
    if !machine.is_emulated() {
        return Ok(None);
    }
    let Some(layout) = &context.cgroups else {
        log::warn!(container = id; "{id}: {}", Error::NoCgroups);
        return Ok(None);
    };
    Cgroup::of(layout.clone(), path).map(Some)
}

/// The firmware's share of what the pod may have; an error if the pod cannot hold it. Memory that is soldered on a board is
/// not known, and mostly not touched: it counts for nothing.
pub(super) fn share(
    context: &Context,
    id: &str,
    cgroup: &Cgroup,
    memory: u32,
    overhead: u32,
) -> Result<Option<Share>> {
    let Some((path, bytes)) = cgroup.memory_above() else { return Ok(None) };
    let (needed, most) = (u64::from(memory) + u64::from(overhead), bytes >> 20);
    context.budget.take(needed, most).map(Some).map_err(|others| Error::PodMemory {
        path,
        most,
        id: id.to_owned(),
        memory,
        overhead,
        others,
    })
}

/// `process.oomScoreAdj`: how soon the kernel is to kill the emulator. A container cannot ask to be spared: below 0 is for
/// what the host protects.
pub(super) fn oom_score(id: &str, spec: &Spec, machine: &Machine) -> Option<u16> {
    let asked = spec.rest.get("process")?.get("oomScoreAdj")?.as_i64().filter(|_| machine.is_emulated())?;
    if asked < 0 {
        log::warn!(
            container = id; "{id}: oomScoreAdj {asked} has no effect on firmware, which cannot be spared: it runs with 0"
        );
    }
    let score = u16::try_from(asked.max(0)).unwrap_or(u16::MAX);
    Some(score.min(libmica::command::MAX_OOM_SCORE))
}

/// Whether the daemon's CPU pool is for this firmware: its emulator has a cgroup, and the host does not object.
pub(super) fn uses_pool(context: &Context, firmware: &Firmware, host: &HostConf, terms: &Terms) -> bool {
    if terms.shared.is_none() && host.entries().contains_key("shared_cpu_pool") && host.uses_shared_cpus() {
        log::warn!(
            "shared_cpu_pool has no effect: the mica daemon has no pool; set {} in {DAEMON_FILE}",
            SharedCpus::KEY
        );
    }
    let has_cgroup = firmware.settings.pedestal.value == Pedestal::Qemu && context.cgroups.is_some();
    has_cgroup && host.uses_shared_cpus()
}

/// The limits with the CPUs that the pool leaves: its own where none are asked for.
pub(super) fn in_pool(asked: &Resources, pool: Option<&SharedCpus>) -> Result<Resources> {
    let mut resources = asked.clone();
    if let Some(pool) = pool {
        resources.cpu.cpus = pool.place(&resources.cpu.cpus)?.to_string();
    }
    Ok(resources)
}

/// The container's memory limit lowers the machine's memory. On Xen, where nothing else says how much, it is the
/// memory, as upstream has it.
pub(crate) fn apply_memory_limit(
    firmware: &mut Firmware,
    resources: &Resources,
    policy: &ContainerPolicy,
) -> Result<()> {
    let Some(limit) = resources.memory_limit_mb() else { return Ok(()) };
    let limit = policy.firmware.memory_mb.cap_number(limit);
    let settings = &mut firmware.settings;
    let unsaid = settings.memory_mb.origin == Origin::Default;
    let replaces = unsaid && settings.pedestal.value == Pedestal::Xen;
    if replaces || limit < settings.memory_mb.value {
        settings.memory_mb = Setting { value: limit, origin: Origin::Limit };
        settings
            .check(&firmware.elf)
            .map_err(|error| error.in_file(&firmware.file.path.to_string_lossy()))?;
    }
    Ok(())
}
