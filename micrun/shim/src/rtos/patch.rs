//! Update with a patch: firmware that runs gets the memory of another one. docs/PATCH.md has the rules.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use containerd_shim_protos::api::UpdateTaskRequest;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::rootfs::{self, RootFile};
use micrun_firmware::{Firmware, MAX_FIRMWARE_SIZE, Sha256Digest, annotations, copy, memory_file};

use super::container::Container;
use crate::error::{Error, Result};
use crate::os::blocking;
use crate::task::context::Context;
use crate::task::state::Attempt;

/// Firmware to patch with.
struct Patch {
    /// A sealed copy: what is checked is what is written.
    firmware: File,
    /// Which firmware it was made for, if it says so.
    made_for: Option<Sha256Digest>,
}

/// What an Update asks to be patched with, if it does: a file or an image's root file system, below the directory that the
/// host's policy names.
pub(super) fn asked(request: &UpdateTaskRequest) -> Option<&str> {
    let key = format!("{}{}", annotations::PREFIX, annotations::PATCH);
    request.annotations.get(&key).map(String::as_str)
}

/// Patches a running container with the firmware that `name` says.
pub(super) async fn patch(context: &Context, container: &Container, name: &str) -> Result<()> {
    container.init.life.check(Attempt::Update)?;
    let (policy, name) = (container.plan.policy.clone(), name.to_owned());
    let patch = blocking::run(move || load(&policy, &name)).await?;
    // Held to the end: a checkpoint's label says what its state was patched with.
    let _held = container.resources.lock().await;
    if let Some(made_for) = patch.made_for {
        let runs = context.mica.stats(&container.id).await?.patched;
        let runs = runs.as_ref().unwrap_or(&container.plan.machine.firmware);
        if *runs != made_for.to_string() {
            return Err(Error::Invalid(format!(
                "the patch was made for the firmware {made_for}, but {runs} runs: make one for that, or start the \
                 container anew"
            )));
        }
    }
    let report = context.mica.patch(&container.id, patch.firmware.as_fd()).await;
    blocking::discard(patch.firmware).await;
    let report = report?;
    log::info!(
        container = container.id; "{}: patched to {}: {} bytes in {} ranges, in a pause of {} us",
        container.id,
        report.firmware,
        report.bytes,
        report.ranges,
        report.pause_usec
    );
    Ok(())
}

fn load(policy: &ContainerPolicy, name: &str) -> Result<Patch> {
    let directory = policy.patch_directory()?;
    let wrong = || Error::io("copy the patch", name);
    let firmware = memory_file::create().map_err(wrong())?;
    let made_for = if let Some(root) = image(directory, name) {
        let found = Firmware::resolve(&root, &BTreeMap::new())?;
        policy.firmware.check_size("the patch", found.elf.file_size)?;
        found.copy_to(&firmware)?;
        found.replaces(&root)?
    } else {
        let asked_by = "the annotation org.openeuler.micrun.patch";
        let RootFile { file, size, .. } = rootfs::open(directory, name, MAX_FIRMWARE_SIZE, asked_by)?;
        policy.firmware.check_size("the patch", size)?;
        copy(&file, &firmware, size, |_| ()).map_err(wrong())?;
        None
    };
    memory_file::seal(&firmware).map_err(wrong())?;
    Ok(Patch { firmware, made_for })
}

/// The directory that `name` says below `directory`. Only root can write there, so nothing changes meanwhile.
fn image(directory: &Path, name: &str) -> Option<PathBuf> {
    let directory = directory.canonicalize().ok()?;
    let root = directory.join(name.trim_start_matches('/')).canonicalize().ok()?;
    (root != directory && root.starts_with(&directory) && root.is_dir()).then_some(root)
}
