//! Update: changed limits. All of a request is done, or nothing of it. docs/RESOURCES.md has the table.

use std::collections::BTreeMap;

use containerd_shim_protos::api::UpdateTaskRequest;
use micrun_firmware::Annotations;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result, describe};
use crate::oci::resources::{Resources, SWAP};
use crate::rtos::container::Container;
use crate::rtos::patch;
use crate::rtos::terms::Terms;
use crate::task::context::Context;
use crate::task::state::Attempt;

const MIB: i64 = 1 << 20;

/// Changes the limits of a container.
pub(crate) async fn update(
    context: &Context,
    container: &Container,
    request: &UpdateTaskRequest,
) -> Result<()> {
    if let Some(name) = patch::asked(request) {
        if !request.resources.value.is_empty() {
            return Err(Error::Invalid(
                "an Update either patches firmware or changes limits: send two".into(),
            ));
        }
        return patch::patch(context, container, name).await;
    }
    let mut wished = read(request)?;
    // Held to the end: two changes at a time would undo each other.
    let mut current = container.resources.lock().await;
    if is_static(container, &request.annotations)? {
        log::info!(
            container = container.id;
            "{}: resources are static (runtime.static_resource); the change is ignored", container.id
        );
        return Ok(());
    }
    container.init.life.check(Attempt::Update)?;
    let mut unsupported = wished.unsupported();
    if wished.memory.limit.is_some() && unsupported.contains(&SWAP) {
        // Docker raises both or none.
        log::warn!("{}: memory.swap has no effect on firmware", container.id);
        unsupported.retain(|name| *name != SWAP);
    }
    if !unsupported.is_empty() {
        return Err(Error::Invalid(format!(
            "{} cannot be changed for firmware; cpu.shares, cpu.quota, cpu.period, cpu.cpus, memory.limit and \
             pids.limit can, see RESOURCES.md",
            unsupported.join(", ")
        )));
    }
    if container.plan.uses_pool && !wished.cpu.cpus.is_empty() {
        // The pool may be another one by now.
        if let Some(shared) = Terms::ask(&*context.mica).await?.shared {
            wished.cpu.cpus = shared.place(&wished.cpu.cpus)?.to_string();
        }
    }
    let all = current.changed_by(&wished);
    match &container.plan.cgroup {
        Some(cgroup) => by_cgroup(container, cgroup, &wished).await?,
        None => by_daemon(context, container, &current, &all).await?,
    }
    *current = all;
    log::info!(container = container.id; "{}: resources changed", container.id);
    Ok(())
}

fn read(request: &UpdateTaskRequest) -> Result<Resources> {
    let bytes = &request.resources.value;
    if bytes.is_empty() {
        return Ok(Resources::default());
    }
    // typeurl packs types of the OCI specification as JSON.
    serde_json::from_slice(bytes)
        .map_err(|error| Error::Invalid(format!("the resources are not LinuxResources: {error}")))
}

fn is_static(container: &Container, annotations: &std::collections::HashMap<String, String>) -> Result<bool> {
    let map: BTreeMap<String, String> = annotations.clone().into_iter().collect();
    let annotations = Annotations::from_map(&map)?;
    annotations.warnings().iter().for_each(|warning| {
        log::warn!(container = container.id; "{}: {warning}", container.id);
    });
    Ok(annotations.static_resource.unwrap_or(container.plan.static_resource))
}

async fn by_cgroup(container: &Container, cgroup: &Cgroup, wished: &Resources) -> Result<()> {
    if let Some(limit) = wished.memory_limit() {
        let memory = i64::from(container.plan.machine.memory_mb) * MIB;
        if limit < memory {
            return Err(Error::Invalid(format!(
                "memory.limit of {limit} bytes is less than the machine's memory of {memory}, which cannot change \
                 while it runs; create the container again with this limit"
            )));
        }
        // Version 2 would take the limit and kill the emulator for it.
        let most = limit.saturating_add(i64::from(container.plan.overhead_mb) * MIB);
        let used = cgroup.memory_in_use().unwrap_or_default();
        if i128::from(used) > i128::from(most) {
            return Err(Error::Invalid(format!(
                "memory.limit of {limit} bytes is less than the {used} bytes that the firmware and its emulator use"
            )));
        }
    }
    cgroup.limit(wished, container.plan.overhead_mb).await
}

/// By the daemon's `set`, one key after the other; what was done is undone when a later one fails.
async fn by_daemon(
    context: &Context,
    container: &Container,
    before: &Resources,
    after: &Resources,
) -> Result<()> {
    let (old, new) = (keys(before), keys(after));
    let changed: Vec<_> = new.into_iter().filter(|(key, value)| old.get(key) != Some(value)).collect();
    // A value that does not fit into a command fails before anything is changed.
    for (key, value) in &changed {
        libmica::Command::Set { key: (*key).to_owned(), value: value.clone() }.encode()?;
    }
    for (done, (key, value)) in changed.iter().enumerate() {
        let Err(error) = context.mica.set(&container.id, key, value).await else { continue };
        for (key, _) in changed[..done].iter().rev() {
            let Some(value) = old.get(key) else {
                log::error!(
                    container = container.id;
                    "{}: {key} stays changed: its former value is not known", container.id
                );
                continue;
            };
            if let Err(error) = context.mica.set(&container.id, key, value).await {
                log::error!(
                    container = container.id;
                    "{}: {key} stays changed: {}", container.id, describe(&error)
                );
            }
        }
        return Err(error.into());
    }
    Ok(())
}

/// The keys of upstream's `set` (mica protocol, control commands) for these limits, in the order of sending.
fn keys(resources: &Resources) -> BTreeMap<&'static str, String> {
    let mut keys = BTreeMap::new();
    let mut add = |key, value: Option<String>| keys.extend(value.map(|value| (key, value)));
    let cpus = &resources.cpu.cpus;
    add("CPU", (!cpus.is_empty()).then(|| cpus.clone()));
    add("CPUWeight", resources.cpu_weight().map(|n| n.to_string()));
    // 0 is upstream's "no limit".
    let capacity = resources.cpu.quota.map(|_| resources.cpu_capacity().unwrap_or_default());
    add("CPUCapacity", capacity.map(|n| n.to_string()));
    add("Memory", resources.memory_limit_mb().map(|n| n.to_string()));
    keys
}
