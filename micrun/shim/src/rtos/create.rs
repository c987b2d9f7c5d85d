//! Create: from a bundle to a client that the daemon knows. What fails leaves nothing behind.

use std::io::Write;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CreateTaskRequest;
use libmica::{CreateMessage, names};
use micrun_firmware::{ClientConf, Firmware, HostConf, Origin, Pedestal, Setting};

use crate::cgroup::Cgroup;
use crate::error::{Error, Result, describe};
use crate::oci::bundle::Spec;
use crate::oci::mount::Rootfs;
use crate::oci::options::Options;
use crate::oci::resources::Resources;
use crate::rtos::bootargs;
use crate::rtos::checkpoint;
use crate::rtos::container::Container;
use crate::rtos::ignored;
use crate::rtos::plan::{Machine, Plan};
use crate::rtos::state_dir::{Owner, StateDir};
use crate::stdio::{Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;

/// Name of the checked firmware in the state directory, as upstream has it.
const FIRMWARE: &str = "firmware.elf";
/// Name of the image's client.conf there; the daemon reads the pedestal's section of it.
const CONF: &str = "client.conf";
/// Name of the file that a pedestal wants beside the ELF, as upstream has it.
const PEDESTAL_FILE: &str = "image.bin";
/// The annotation that names a further micrun.conf.
const CONFIG_PATH: &str = "org.openeuler.micrun.config_path";
/// Why a checkpoint is refused.
const NO_CHECKPOINT: &str =
    "only firmware on the qemu pedestal can go on from a checkpoint: a core's state cannot be set";

/// Makes a container of a Create request.
pub(crate) async fn create(
    context: &Context,
    request: &CreateTaskRequest,
    spec: &Spec,
    rootfs: Rootfs,
) -> Result<Container> {
    let id = request.id.clone();
    check_id(&id)?;
    let options = Options::read(request.options.get_or_default())?;
    log::debug!("{id}: runtime options {options:?}");
    let paths = Paths::from(request);
    let owner = Owner::this_process(&context.namespace, &id, &cgroups_path(context, spec, &id));
    let dir = StateDir::create(&context.state_root, &owner)?;
    let prepared = prepare(context, request, (spec, rootfs), &options, &paths, &dir).await;
    let (plan, streams) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(leftover) = dir.remove() {
                log::warn!("{}", describe(&leftover));
            }
            return Err(error);
        }
    };
    log::info!("created {id}");
    context.events.publish(Event::create(request, std::process::id()));
    Ok(Container::new(id, request.bundle.clone().into(), paths, plan, dir, streams))
}

fn check_id(id: &str) -> Result<()> {
    if id.len() > names::NAME_MAX {
        let limit = names::NAME_MAX;
        return Err(Error::Invalid(format!(
            "container ID: exceeds mica limit (66 characters): `{id}` has {}, use at most {limit}",
            id.len()
        )));
    }
    Ok(names::validate(id)?)
}

async fn prepare(
    context: &Context,
    request: &CreateTaskRequest,
    image: (&Spec, Rootfs),
    options: &Options,
    paths: &Paths,
    dir: &StateDir,
) -> Result<(Plan, Streams)> {
    let mut plan = unpack(context, request, image, options, dir)?;
    let identity = Identity { namespace: &context.namespace, id: &request.id };
    let streams = Streams::open(paths, identity).await?;
    if let Some(cgroup) = &mut plan.cgroup {
        cgroup.create().await?;
    }
    let limited = plan.cgroup.iter().try_for_each(|cgroup| cgroup.limit(&plan.resources, plan.overhead_mb));
    let made = match limited {
        Ok(()) => context.mica.create(&plan.message).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let (Err(_), Some(cgroup)) = (&made, &plan.cgroup) {
        cgroup.remove().await;
    }
    made.map(|()| (plan, streams))
}

/// Takes the firmware out of the image. The root file system is mounted only meanwhile: what runs is a copy
/// that nobody can change after the check.
fn unpack(
    context: &Context,
    request: &CreateTaskRequest,
    (spec, _mounted): (&Spec, Rootfs),
    options: &Options,
    dir: &StateDir,
) -> Result<Plan> {
    let rootfs = spec.rootfs(Path::new(&request.bundle));
    let host = host_conf(context, spec, options)?;
    let mut firmware = Firmware::resolve_on(&host, &rootfs, &spec.annotations)?;
    let without_effect = ignored::check(spec, has_command_line(&firmware))?;
    if !without_effect.is_empty() {
        log::warn!("{} is firmware: without effect on it are {without_effect}", request.id);
    }
    for warning in firmware.warnings.iter().chain(host.warnings()) {
        log::warn!("{}: {warning}", request.id);
    }
    if firmware.settings.debug.value {
        log::set_max_level(log::LevelFilter::Debug);
    }
    let resources = spec.linux.resources.clone();
    apply_memory_limit(&mut firmware, &resources)?;
    let path = dir.path(FIRMWARE);
    let digest = {
        let mut digest = None;
        dir.write(FIRMWARE, |file| {
            digest = Some(firmware.copy_to(file)?);
            Ok::<_, Error>(())
        })?;
        digest
    };
    let pedestal_conf = pedestal_conf(&mut firmware, spec, dir)?;
    let message = message(&request.id, path, pedestal_conf, &firmware, &resources);
    log::info!("{}: {} on {}", request.id, firmware.file.path.display(), message.pedestal);
    let settings = &firmware.settings;
    let (pedestal, memory) = (settings.pedestal.value, settings.memory_mb.value);
    let digest = digest.ok_or_else(|| Error::Invalid("the firmware has no digest".into()))?;
    let machine = Machine::new(pedestal, &digest, memory, settings.vcpu.value);
    let snapshot = match request.checkpoint.as_str() {
        "" => None,
        _ if !machine.is_emulated() => return Err(Error::Unimplemented(NO_CHECKPOINT)),
        path => Some(checkpoint::take_over(Path::new(path), &machine, dir)?),
    };
    Ok(Plan {
        cgroup: cgroup(context, request, spec, &machine)?,
        machine,
        message,
        resources,
        overhead_mb: host.emulator_overhead_mb(),
        static_resource: settings.static_resource.value,
        prompt: settings.shell_prompt.value.clone(),
        close_after: settings.auto_close.value,
        snapshot,
    })
}

/// The host's configuration, with the file that the container or containerd's operator names.
fn host_conf(context: &Context, spec: &Spec, options: &Options) -> Result<HostConf> {
    let mut places = context.host_conf.clone();
    if let Options::Generic(config) = options {
        if config.path.as_os_str().is_empty() {
            let text = String::from_utf8(config.body.clone());
            places.body =
                Some(text.map_err(|_| Error::Invalid("the runtime options are no UTF-8 text".into()))?);
        } else {
            places.extra = Some(config.path.clone());
        }
    }
    if let Some(path) = spec.annotations.get(CONFIG_PATH) {
        places = places.with_config_path(path)?;
    }
    Ok(HostConf::load(&places)?)
}

/// The cgroup of an emulator. A firmware on a core of its own is no process that a cgroup could hold.
fn cgroup(
    context: &Context,
    request: &CreateTaskRequest,
    spec: &Spec,
    machine: &Machine,
) -> Result<Option<Cgroup>> {
    let resources = &spec.linux.resources;
    let unsupported = resources.unsupported();
    if !unsupported.is_empty() {
        log::warn!("{}: without effect for firmware: {}", request.id, unsupported.join(", "));
    }
    if !machine.is_emulated() {
        return Ok(None);
    }
    let Some(layout) = &context.cgroups else {
        log::warn!("{}: {}", request.id, Error::NoCgroups);
        return Ok(None);
    };
    Cgroup::of(layout.clone(), &cgroups_path(context, spec, &request.id)).map(Some)
}

/// `linux.cgroupsPath`, or where containerd's own clients put a container: the machine has one hierarchy for the
/// containers of all namespaces, and those of two may have the same id.
fn cgroups_path(context: &Context, spec: &Spec, id: &str) -> String {
    match spec.linux.cgroups_path.as_str() {
        "" => format!("/{}/{id}", context.namespace),
        path => path.to_owned(),
    }
}

/// The container's memory limit lowers the machine's memory. On Xen, where nothing else says how much, it is the
/// memory, as upstream has it.
pub(crate) fn apply_memory_limit(firmware: &mut Firmware, resources: &Resources) -> Result<()> {
    let Some(limit) = resources.memory_limit_mb() else { return Ok(()) };
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

/// Whether arguments and environment reach the firmware, as its kernel command line.
fn has_command_line(firmware: &Firmware) -> bool {
    firmware.settings.pedestal.value == Pedestal::Qemu && firmware.pedestal_file.is_none()
}

/// What the create message's `ped_cfg` names: the file that the pedestal asks for, or for qemu the
/// client.conf with its `[Qemu]` section.
fn pedestal_conf(firmware: &mut Firmware, spec: &Spec, dir: &StateDir) -> Result<PathBuf> {
    if let Some(source) = &firmware.pedestal_file {
        let mut source = &source.file;
        return dir.write(PEDESTAL_FILE, |file| {
            std::io::copy(&mut source, file).map_err(Error::io("copy", PEDESTAL_FILE))
        });
    }
    if !has_command_line(firmware) {
        return Ok(PathBuf::new());
    }
    let mut conf = firmware.conf.clone().unwrap_or_default();
    if firmware.settings.shell_prompt.value.is_some() {
        // The shell wants a terminal of its own.
        conf.qemu.consoles.get_or_insert(2);
    }
    let process = spec.rest.get("process");
    let path = firmware.file.path.to_string_lossy();
    let (append, left_out) = bootargs::compose(conf.qemu.append.as_deref(), process, &path);
    conf.qemu.append = append;
    if !left_out.is_empty() {
        log::warn!(
            "left out of the firmware's command line, which has no place for it: {}",
            left_out.join(" ")
        );
    }
    if conf == ClientConf::default() {
        return Ok(PathBuf::new());
    }
    let text = conf.to_ini()?;
    dir.write(CONF, |file| file.write_all(text.as_bytes()).map_err(Error::io("write", CONF)))
}

fn message(
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
