//! Create: from a bundle to a client that the daemon knows. What fails leaves nothing behind.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::events::task::{TaskCreate, TaskIO};
use libmica::{CreateMessage, names};
use micrun_firmware::{Firmware, Pedestal, is_firmware};

use crate::bundle::Spec;
use crate::container::Container;
use crate::context::Context;
use crate::error::{Error, Result, describe};
use crate::events::Event;
use crate::mount::Rootfs;
use crate::options::Options;
use crate::state_dir::{Owner, StateDir};
use crate::stdio::{Identity, Paths, Streams};

/// Name of the checked firmware in the state directory, as upstream has it.
const FIRMWARE: &str = "firmware.elf";
/// Name of the image's client.conf there; the daemon reads the pedestal's section of it.
const CONF: &str = "client.conf";
/// Name of the file that a pedestal wants beside the ELF, as upstream has it.
const PEDESTAL_FILE: &str = "image.bin";
/// Why an ordinary image is refused.
const NO_MARKER: &str = "this image is no RTOS firmware: its spec has no annotation that begins with \
    `org.openeuler.micrun.` and its root file system no `/client.conf`; pack it with micrun-image-builder, or run \
    it with another runtime, because this version of micrun starts no Linux containers";

/// Makes a container of a Create request.
pub(crate) async fn create(context: &Context, request: &CreateTaskRequest) -> Result<Container> {
    let id = request.id.clone();
    check_id(&id)?;
    if !request.checkpoint.is_empty() {
        return Err(Error::Unimplemented("an RTOS container cannot be created from a checkpoint"));
    }
    let options = Options::read(request.options.get_or_default())?;
    log::debug!("{id}: runtime options {options:?}");
    let paths = Paths {
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
        terminal: request.terminal,
    };
    let dir = StateDir::create(&context.state_root, &Owner::this_process(&context.namespace, &id))?;
    let prepared = prepare(context, request, &paths, &dir).await;
    let (streams, auto_close) = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            if let Err(leftover) = dir.remove() {
                log::warn!("{}", describe(&leftover));
            }
            return Err(error);
        }
    };
    log::info!("created {id}");
    context.events.publish(created(request));
    Ok(Container::new(id, request.bundle.clone().into(), paths, dir, streams, auto_close))
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
    paths: &Paths,
    dir: &StateDir,
) -> Result<(Streams, Option<Duration>)> {
    let (message, auto_close) = unpack(request, dir)?;
    let identity = Identity { namespace: &context.namespace, id: &request.id };
    let streams = Streams::open(paths, identity).await?;
    context.mica.create(&message).await?;
    Ok((streams, auto_close))
}

/// Takes the firmware out of the image. The root file system is mounted only meanwhile: what runs is a copy
/// that nobody can change after the check. Gives what to tell the daemon, and how long after its client has left
/// the container is to be stopped.
fn unpack(request: &CreateTaskRequest, dir: &StateDir) -> Result<(CreateMessage, Option<Duration>)> {
    let bundle = Path::new(&request.bundle);
    let spec = Spec::read(bundle)?;
    let rootfs = spec.rootfs(bundle);
    let _mounted = Rootfs::mount(&request.rootfs, &rootfs)?;
    if !is_firmware(&rootfs, &spec.annotations) {
        return Err(Error::Unimplemented(NO_MARKER));
    }
    let mut firmware = Firmware::resolve(&rootfs, &spec.annotations)?;
    for warning in &firmware.warnings {
        log::warn!("{}: {warning}", request.id);
    }
    let path = dir.write(FIRMWARE, |file| firmware.copy_to(file))?;
    let pedestal_conf = pedestal_conf(&mut firmware, dir)?;
    let message = message(&request.id, path, pedestal_conf, &firmware);
    log::info!("{}: {} on {}", request.id, firmware.file.path.display(), message.pedestal);
    Ok((message, firmware.settings.auto_close.value))
}

/// What the create message's `ped_cfg` names: the file that the pedestal asks for, or for qemu the
/// client.conf with its `[Qemu]` section.
fn pedestal_conf(firmware: &mut Firmware, dir: &StateDir) -> Result<PathBuf> {
    if let Some(source) = &firmware.pedestal_file {
        let mut source = &source.file;
        return dir.write(PEDESTAL_FILE, |file| {
            std::io::copy(&mut source, file).map_err(Error::io("copy", PEDESTAL_FILE))
        });
    }
    match (&firmware.conf, firmware.settings.pedestal.value) {
        (Some(conf), Pedestal::Qemu) => {
            let text = conf.to_ini()?;
            dir.write(CONF, |file| file.write_all(text.as_bytes()).map_err(Error::io("write", CONF)))
        }
        _ => Ok(PathBuf::new()),
    }
}

fn message(id: &str, path: PathBuf, pedestal_conf: PathBuf, firmware: &Firmware) -> CreateMessage {
    let settings = &firmware.settings;
    let mica = firmware.conf.as_ref().map(|conf| conf.mica.clone()).unwrap_or_default();
    CreateMessage {
        name: id.to_owned(),
        path,
        pedestal: settings.pedestal.value.as_str().to_owned(),
        pedestal_conf,
        debug: mica.debug.unwrap_or(false),
        cpu: mica.cpu.unwrap_or_default(),
        vcpus: number(settings.vcpu.value),
        max_vcpus: number(settings.max_vcpu.value),
        cpu_weight: number(mica.cpu_weight.unwrap_or(0)),
        cpu_capacity: number(mica.cpu_capacity.unwrap_or(0)),
        memory: number(settings.memory_mb.value),
        max_memory: number(mica.max_memory.unwrap_or(settings.memory_mb.value)),
        iomem: mica.iomem.unwrap_or_default(),
        network: mica.network.unwrap_or_default(),
    }
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn created(request: &CreateTaskRequest) -> Event {
    let mut io = TaskIO::new();
    io.stdin.clone_from(&request.stdin);
    io.stdout.clone_from(&request.stdout);
    io.stderr.clone_from(&request.stderr);
    io.terminal = request.terminal;
    let mut event = TaskCreate::new();
    event.container_id.clone_from(&request.id);
    event.bundle.clone_from(&request.bundle);
    event.rootfs.clone_from(&request.rootfs);
    event.io = Some(io).into();
    event.pid = std::process::id();
    Event::Create(event)
}
