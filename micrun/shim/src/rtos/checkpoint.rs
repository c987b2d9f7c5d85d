//! Checkpoints: the state of the machine in the directory that containerd names, and what it belongs to.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CheckpointTaskRequest;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::oci::options;
use crate::rtos::container::Container;
use crate::rtos::plan::Machine;
use crate::rtos::state_dir::StateDir;
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::Attempt;

/// The file with the state, in the pedestal's own format.
const STATE: &str = "machine.state";
/// The file that says what it is the state of.
const LABEL: &str = "micrun.json";
/// Version of the label.
const VERSION: u32 = 1;
/// What a state may have beside the machine's memory, in bytes: devices, and the stream's own headers.
const MAX_BESIDE: u64 = 64 << 20;
/// Memory of a machine whose size only the machine knows, in MiB: boards have less.
const MAX_BOARD_MB: u32 = 1024;

#[derive(Debug, Deserialize, Serialize)]
struct Label {
    version: u32,
    machine: Machine,
}

/// Writes the state of a running or frozen container; it is as before afterwards, unless it is to end.
pub(crate) async fn save(
    context: &Context,
    container: &Container,
    request: &CheckpointTaskRequest,
) -> Result<()> {
    container.init.life.check(Attempt::Checkpoint)?;
    let dir = Path::new(&request.path);
    std::fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let (state, label) = (dir.join(STATE), dir.join(LABEL));
    let saved = write(context, container, &state, &label).await;
    if saved.is_err() {
        // Half a checkpoint is none; the directory is containerd's.
        let _ = std::fs::remove_file(&state);
        let _ = std::fs::remove_file(&label);
    }
    saved?;
    context.events.publish(Event::checkpointed(&container.id, &request.path));
    log::info!("{}: checkpoint in {}", container.id, dir.display());
    if options::checkpoint(request)?.exit {
        container.kill(context, nix::libc::SIGKILL.unsigned_abs()).await?;
    }
    Ok(())
}

async fn write(context: &Context, container: &Container, state: &Path, label: &Path) -> Result<()> {
    let file = File::create(state).map_err(Error::io("create", state))?;
    context.mica.checkpoint(&container.id, file.as_fd()).await?;
    let text = Label { version: VERSION, machine: container.plan.machine.clone() };
    let text = serde_json::to_vec(&text).map_err(|source| Error::Json { path: label.into(), source })?;
    std::fs::write(label, text).map_err(Error::io("write", label))
}

/// Takes a state over from the directory of a checkpoint, which containerd removes after Create.
pub(crate) fn take_over(checkpoint: &Path, machine: &Machine, dir: &StateDir) -> Result<PathBuf> {
    let path = checkpoint.join(LABEL);
    let text = std::fs::read(&path).map_err(Error::io("read", &path))?;
    let label: Label = serde_json::from_slice(&text).map_err(|source| Error::Json { path, source })?;
    if label.version > VERSION {
        return Err(Error::Newer { what: "checkpoint", found: label.version, known: VERSION });
    }
    if label.machine != *machine {
        let differs = differences(&label.machine, machine);
        return Err(Error::Invalid(format!(
            "the checkpoint is of another machine: {differs}; create the container from the image and with the \
             limits that it had"
        )));
    }
    let path = checkpoint.join(STATE);
    let source = File::open(&path).map_err(Error::io("open", &path))?;
    let memory_mb = if machine.memory_mb == 0 { MAX_BOARD_MB } else { machine.memory_mb };
    let most = (u64::from(memory_mb) << 20) + MAX_BESIDE;
    let mut source = source.take(most + 1);
    let mut size = 0;
    let copy = dir.write(STATE, |file| {
        size = std::io::copy(&mut source, file).map_err(Error::io("copy", &path))?;
        Ok::<_, Error>(())
    })?;
    if size > most {
        return Err(Error::Invalid(format!(
            "`{}` has more than {most} bytes: this is no state",
            path.display()
        )));
    }
    Ok(copy)
}

fn differences(saved: &Machine, now: &Machine) -> String {
    let pairs = [
        ("pedestal", saved.pedestal.clone(), now.pedestal.clone()),
        ("firmware", saved.firmware.clone(), now.firmware.clone()),
        ("memory in MiB", saved.memory_mb.to_string(), now.memory_mb.to_string()),
        ("virtual CPUs", saved.vcpus.to_string(), now.vcpus.to_string()),
    ];
    let differing = pairs.into_iter().filter(|(_, saved, now)| saved != now);
    let texts: Vec<_> =
        differing.map(|(what, saved, now)| format!("its {what} was {saved} and is {now}")).collect();
    texts.join(", ")
}
