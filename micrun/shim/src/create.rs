//! Create: from a bundle to a client that the daemon knows. What fails leaves nothing behind.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CreateTaskRequest;
use containerd_shim_protos::events::task::{TaskCreate, TaskIO};
use libmica::{CreateMessage, names};
use micrun_firmware::Firmware;

use crate::bundle::Spec;
use crate::container::Container;
use crate::context::Context;
use crate::error::{Error, Result, describe};
use crate::events::Event;
use crate::mount::Rootfs;
use crate::state_dir::{Owner, StateDir};
use crate::stdio::{Paths, Streams};

/// Name of the checked firmware in the state directory, as upstream has it.
const FIRMWARE: &str = "firmware.elf";
/// Name of the effective client.conf there; the daemon reads the pedestal's section of it.
const CONF: &str = "client.conf";

/// Makes a container of a Create request.
pub async fn create(context: &Context, request: &CreateTaskRequest) -> Result<Container> {
    let id = request.id.clone();
    check_id(&id)?;
    if !request.checkpoint.is_empty() {
        return Err(Error::Unimplemented("an RTOS container cannot be created from a checkpoint"));
    }
    let paths = Paths {
        stdin: request.stdin.clone(),
        stdout: request.stdout.clone(),
        stderr: request.stderr.clone(),
        terminal: request.terminal,
    };
    let dir = StateDir::create(&Owner::this_process(&context.namespace, &id))?;
    let prepared = prepare(context, request, &paths, &dir).await;
    let streams = match prepared {
        Ok(streams) => streams,
        Err(error) => {
            if let Err(leftover) = dir.remove() {
                log::warn!("{}", describe(&leftover));
            }
            return Err(error);
        }
    };
    log::info!("created {id}");
    context.events.publish(created(request));
    Ok(Container::new(id, request.bundle.clone().into(), paths, dir, streams))
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
) -> Result<Streams> {
    let message = unpack(request, dir)?;
    let streams = Streams::open(paths)?;
    context.mica.create(&message).await?;
    Ok(streams)
}

/// Takes the firmware out of the image. The root file system is mounted only meanwhile: what runs is a copy
/// that nobody can change after the check.
fn unpack(request: &CreateTaskRequest, dir: &StateDir) -> Result<CreateMessage> {
    let bundle = Path::new(&request.bundle);
    let spec = Spec::read(bundle)?;
    let rootfs = spec.rootfs(bundle);
    let mounted = Rootfs::mount(&request.rootfs, &rootfs)?;
    let mut firmware = Firmware::resolve(&rootfs, &spec.annotations)?;
    for warning in &firmware.warnings {
        log::warn!("{}: {warning}", request.id);
    }
    let path = dir.copy(FIRMWARE, &mut firmware.file)?;
    drop(mounted);
    let conf = dir.write(CONF, firmware.conf.to_ini().as_bytes())?;
    Ok(message(&request.id, path, conf, &firmware))
}

fn message(id: &str, path: PathBuf, conf: PathBuf, firmware: &Firmware) -> CreateMessage {
    let mica = &firmware.conf.mica;
    CreateMessage {
        name: id.to_owned(),
        path,
        pedestal: firmware.pedestal.to_string(),
        pedestal_conf: conf,
        ..CreateMessage::default()
    }
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
