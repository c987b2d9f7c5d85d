//! Checkpoints: the state of a machine, in the directory that containerd names, and a label that says what it is the
//! state of.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CheckpointTaskRequest;
use micrun_firmware::rootfs::{self, RootFile};
use micrun_firmware::snapshot::{DIRECTORY, LABEL, Label, Machine, STATE, State, Unread};
use micrun_firmware::{Sha256Digest, memory_file};

use crate::error::{Error, Result};
use crate::oci::options;
use crate::os::blocking;
use crate::rtos::container::Container;
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::Attempt;

/// The longest label, in bytes.
const MAX_LABEL: u64 = 64 << 10;
/// What a state may have beside the machine's memory, in bytes: devices, and the stream's own headers.
const MAX_BESIDE: u64 = 64 << 20;
/// Memory of a machine whose size only the machine knows, in MiB: boards have less.
const MAX_BOARD_MB: u32 = 1024;

/// The files of a checkpoint.
#[derive(Clone, Debug)]
struct Files {
    dir: PathBuf,
    state: PathBuf,
    label: PathBuf,
}

impl Files {
    fn in_dir(dir: &str) -> Self {
        let dir = PathBuf::from(dir);
        Self { state: dir.join(STATE), label: dir.join(LABEL), dir }
    }

    /// Makes the directory and the file for the state.
    fn create(&self) -> Result<File> {
        std::fs::create_dir_all(&self.dir).map_err(Error::io("create", &self.dir))?;
        self.remove();
        create_new(&self.state)
    }

    fn write_label(&self, label: &Label) -> Result<()> {
        let path = &self.label;
        let text = serde_json::to_vec(label).map_err(|source| Error::Json { path: path.clone(), source })?;
        create_new(path)?.write_all(&text).map_err(Error::io("write", path))
    }

    /// Half a checkpoint is none. The directory is containerd's.
    fn remove(&self) {
        let _ = std::fs::remove_file(&self.state);
        let _ = std::fs::remove_file(&self.label);
    }
}

/// A file that is there now and was not before: a link in its place is not followed.
fn create_new(path: &Path) -> Result<File> {
    File::options().read(true).write(true).create_new(true).open(path).map_err(Error::io("create", path))
}

/// Writes the state of a running or frozen container; it is as before afterwards, unless it is to end.
pub(crate) async fn save(
    context: &Context,
    container: &Container,
    request: &CheckpointTaskRequest,
) -> Result<()> {
    container.init.life.check(Attempt::Checkpoint)?;
    let exit = options::checkpoint(request)?.exit;
    let files = Files::in_dir(&request.path);
    let saved = write(context, container, &files).await;
    if saved.is_err() {
        let remove = move || {
            files.remove();
            Ok(())
        };
        blocking::run(remove).await?;
    }
    saved?;
    context.events.publish(Event::checkpointed(&container.id, &request.path));
    log::info!(container = container.id; "{}: checkpoint in {}", container.id, request.path);
    if exit {
        container.kill(context, nix::libc::SIGKILL.unsigned_abs()).await?;
    }
    Ok(())
}

async fn write(context: &Context, container: &Container, files: &Files) -> Result<()> {
    let of_state = files.clone();
    let state = blocking::run(move || of_state.create()).await?;
    // No patch meanwhile.
    let held = container.resources.lock().await;
    context.mica.checkpoint(&container.id, state.as_fd()).await?;
    let patched = context.mica.stats(&container.id).await?.patched;
    drop(held);
    let (of_label, machine) = (files.clone(), container.plan.machine.clone());
    blocking::run(move || label(state, &of_label, machine, patched)).await
}

fn label(mut file: File, files: &Files, machine: Machine, patched: Option<String>) -> Result<()> {
    let state = State::of(&mut file, u64::MAX).map_err(Error::io("read", &files.state))?;
    files.write_label(&Label::new(machine, patched, state))
}

/// Opens the state in the directory of a checkpoint, which containerd removes after Create. It is not copied: it may be as
/// large as the machine's memory. To be called where waiting is allowed.
///
/// With it comes the digest of the firmware that the state's was patched to.
pub(crate) fn open(checkpoint: &Path, machine: &Machine) -> Result<(File, Option<Sha256Digest>)> {
    let Found { label, patched, mut file, most } = find(checkpoint, machine)?;
    check(&label, &mut file, most, checkpoint)?;
    Ok((file, patched))
}

/// What lies in the directory of a checkpoint.
struct Found {
    label: Label,
    /// The label's own, checked.
    patched: Option<Sha256Digest>,
    file: File,
    /// The most bytes that the state may have.
    most: u64,
}

fn find(checkpoint: &Path, machine: &Machine) -> Result<Found> {
    let label = read_label(checkpoint, machine)?;
    let memory_mb = if machine.memory_mb == 0 { MAX_BOARD_MB } else { machine.memory_mb };
    let most = (u64::from(memory_mb) << 20) + MAX_BESIDE;
    let RootFile { file, .. } = open_file(checkpoint, STATE, most)?;
    let patched: Option<Sha256Digest> = label
        .patched
        .as_ref()
        .map(|digest| digest.parse())
        .transpose()
        .map_err(|_| refusal(checkpoint, &format!("`patched` of `{LABEL}` is no digest")))?;
    if let Some(patched) = patched {
        log::info!("the checkpoint in {} is of firmware that was patched to {patched}", checkpoint.display());
    }
    Ok(Found { label, patched, file, most })
}

/// Refuses a state that is not the label's.
fn check(label: &Label, file: &mut File, most: u64, checkpoint: &Path) -> Result<()> {
    // It may have grown meanwhile.
    let state = State::of(file, most + 1).map_err(Error::io("read", checkpoint.join(STATE)))?;
    if state == label.state {
        return Ok(());
    }
    Err(refusal(checkpoint, &format!("`{STATE}` is not the state that `{LABEL}` describes")))
}

/// Whether an image has a snapshot, from which its containers go on.
pub(crate) fn is_in_image(root: &Path) -> bool {
    root.join(DIRECTORY.trim_start_matches('/')).join(LABEL).symlink_metadata().is_ok()
}

/// A copy of the state in the image at `root`, which is unmounted after Create. To be called where waiting is allowed.
///
/// With it comes the digest of the firmware that the state's was patched to.
pub(crate) fn copy_of_image(root: &Path, machine: &Machine) -> Result<(File, Option<Sha256Digest>)> {
    let dir = root.join(DIRECTORY.trim_start_matches('/'));
    let Found { label, patched, file, most } = find(&dir, machine)?;
    let wrong = || Error::io("copy", dir.join(STATE));
    let mut copy = memory_file::create().map_err(wrong())?;
    micrun_firmware::copy(&file, &copy, most, |_| ()).map_err(wrong())?;
    check(&label, &mut copy, most, &dir)?;
    Ok((copy, patched))
}

/// The label, unless it is that of another machine.
fn read_label(checkpoint: &Path, machine: &Machine) -> Result<Label> {
    let source = open_file(checkpoint, LABEL, MAX_LABEL)?;
    let path = source.host_path;
    let mut text = Vec::new();
    source.file.take(MAX_LABEL).read_to_end(&mut text).map_err(Error::io("read", &path))?;
    let label = Label::parse(&text).map_err(|unread| match unread {
        Unread::Newer { found, known } => Error::Newer { what: "checkpoint", found, known },
        Unread::Wrong(reason) => refusal(checkpoint, &reason),
    })?;
    if label.machine != *machine {
        let differs = label.differences(machine);
        return Err(Error::Invalid(format!(
            "the checkpoint belongs to another machine: {differs}; create the container from the same image with the \
             same limits"
        )));
    }
    Ok(label)
}

/// Opens a file of a checkpoint. What lies there is not ours: a pipe, a device, a link that leads out of the directory
/// or a file of more than `limit` bytes is refused.
fn open_file(checkpoint: &Path, name: &str, limit: u64) -> Result<RootFile> {
    let opened = rootfs::open(checkpoint, name, limit, "a file of the checkpoint");
    opened.map_err(|error| match error {
        error @ micrun_firmware::Error::Io { .. } => error.into(),
        error => refusal(checkpoint, &error.to_string()),
    })
}

fn refusal(checkpoint: &Path, reason: &str) -> Error {
    Error::Invalid(format!("the checkpoint in `{}` is refused: {reason}", checkpoint.display()))
}
