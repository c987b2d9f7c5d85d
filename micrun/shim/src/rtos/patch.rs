//! Update with a patch: firmware that runs gets the memory of another one. docs/PATCH.md has the rules.

use std::fs::File;
use std::os::fd::AsFd;

use containerd_shim_protos::api::UpdateTaskRequest;
use micrun_firmware::policy::ContainerPolicy;
use micrun_firmware::rootfs::RootFile;
use micrun_firmware::{MAX_FIRMWARE_SIZE, annotations, copy, memory_file, rootfs};

use super::container::Container;
use crate::error::{Error, Result};
use crate::os::blocking;
use crate::task::context::Context;
use crate::task::state::Attempt;

/// The annotation of an Update, without its prefix: a file below the directory that the host's policy names.
const ANNOTATION: &str = "patch";

/// The file that an Update asks for, if it is a patch.
pub(super) fn asked(request: &UpdateTaskRequest) -> Option<&str> {
    request.annotations.get(&format!("{}{ANNOTATION}", annotations::PREFIX)).map(String::as_str)
}

/// Patches a running container with the firmware that `name` says.
pub(super) async fn patch(context: &Context, container: &Container, name: &str) -> Result<()> {
    container.init.life.check(Attempt::Update)?;
    let (policy, name) = (container.plan.policy.clone(), name.to_owned());
    let firmware = blocking::run(move || load(&policy, &name)).await?;
    let report = context.mica.patch(&container.id, firmware.as_fd()).await?;
    log::info!(
        "{}: patched to {}: {} bytes in {} ranges, in a pause of {} us",
        container.id,
        report.firmware,
        report.bytes,
        report.ranges,
        report.pause_usec
    );
    Ok(())
}

/// A sealed copy of the firmware: what is checked is what is written.
fn load(policy: &ContainerPolicy, name: &str) -> Result<File> {
    let asked_by = "the annotation org.openeuler.micrun.patch";
    let directory = policy.patch_directory()?;
    let RootFile { file, host_path, size, .. } = rootfs::open(directory, name, MAX_FIRMWARE_SIZE, asked_by)?;
    policy.firmware.check_size("the patch", size)?;
    let doing = "copy";
    let sealed = memory_file::create().map_err(Error::io(doing, &host_path))?;
    copy(&file, &sealed, size, |_| ()).map_err(Error::io(doing, &host_path))?;
    memory_file::seal(&sealed).map_err(Error::io(doing, &host_path))?;
    Ok(sealed)
}
