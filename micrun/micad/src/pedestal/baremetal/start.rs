//! Bringing firmware up on a remoteproc.

use micrun_firmware::Sha256Digest;
use nix::errno::Errno;

use super::BareMetal;
use super::choice::{self, Claim};
use super::core::{Core, command};
use super::firmware::{FirmwareDir, Placed};
use super::guest::{CoreGuest, Saved};
use super::kernel_log::KernelLog;
use super::lines::Lines;
use super::revive;
use super::settings::Settings;
use super::sysfs::Remoteproc;
use super::watch::Watch;
use crate::blocking::{self, COPIES};
use crate::error::file;
use crate::pedestal::{ClientSpec, boot_usec, firmware_file, gdb};
use crate::{Error, Result};

/// Boots the client's firmware on the remoteproc that fits it.
pub(super) async fn start(pedestal: &BareMetal, spec: &ClientSpec) -> Result<CoreGuest> {
    // The daemon that created the client may have had another policy.
    pedestal.config.get().policy.pedestals.check("pedestal", super::NAME)?;
    let (here, client) = (pedestal.clone(), spec.clone());
    let (remoteproc, claim) =
        blocking::run(move || choice::choose(&here, &client.message.cpu, client.name())).await?;
    let (here, client) = (pedestal.clone(), spec.clone());
    let (placed, sha256) = COPIES
        .run(move || {
            let path = &client.message.path;
            let size = std::fs::metadata(path).map_err(file("examine", path))?.len();
            here.config.get().policy.check_size("the firmware", size)?;
            FirmwareDir::find(&here.system, here.firmware_dir.as_deref())?.place(&client)
        })
        .await?;
    let (here, client) = (pedestal.clone(), spec.clone());
    // The kernel has its copy when this returns, and `placed` goes with it.
    blocking::run(move || boot(&here, &client, remoteproc, claim, &placed, sha256)).await
}

fn boot(
    pedestal: &BareMetal,
    spec: &ClientSpec,
    remoteproc: Remoteproc,
    claim: Claim,
    placed: &Placed,
    sha256: Sha256Digest,
) -> Result<CoreGuest> {
    // What is no firmware the driver refuses.
    let exit_record = firmware_file::info(&spec.message.path, super::NAME).ok().and_then(|it| it.exit_record);
    // Before the start, so that nothing after it is missed.
    let watch = Watch::new(&pedestal.system, &remoteproc);
    let mut log = KernelLog::from_now(&pedestal.system);
    let notes = &pedestal.runtime_dir;
    revive::free(notes, &remoteproc, placed, &spec.message.path, &mut log)?;
    let mut lines = Lines::new(pedestal.owner(spec))?;
    let before = Settings::take(notes, &remoteproc);
    let started = remoteproc.write("firmware", &placed.name).and_then(|()| command(&remoteproc, "start"));
    if let Err(e) = started {
        before.restore(notes, &remoteproc);
        lines.close();
        let complaints = log.complaints(&remoteproc);
        let reason = if complaints.is_empty() { String::new() } else { format!(" (kernel: {complaints})") };
        let problem = format!("{e}{reason}: {}", advice(&e));
        return Err(Error::RemoteprocStart { remoteproc: remoteproc.title(), problem });
    }
    log::debug!(client = spec.name(); "{}: {} runs {}", spec.name(), remoteproc.title(), placed.name);
    let saved = Saved {
        id: remoteproc.id.clone(),
        name: remoteproc.name.clone(),
        firmware: placed.name.clone(),
        sha256: Some(sha256),
        patch: None,
        before: before.clone(),
        exit_record,
        since_usec: boot_usec(),
        lines: lines.save(),
        gdb: (spec.message.debug && remoteproc.is_debuggable())
            .then(|| gdb_command(pedestal, spec, &remoteproc)),
    };
    let (system, notes) = (pedestal.system.clone(), notes.clone());
    let core = Core { system, remoteproc, log, lines, before, notes };
    Ok(CoreGuest::new(core, Some(claim), watch, saved))
}

/// gdb starts its other end by itself: the `mica` that was installed with this daemon.
fn gdb_command(pedestal: &BareMetal, spec: &ClientSpec, remoteproc: &Remoteproc) -> String {
    let mica = std::env::current_exe().map(|micad| micad.with_file_name("mica"));
    let mica = mica.ok().filter(|mica| mica.exists()).unwrap_or_else(|| "mica".into());
    let stub = format!(
        "| {} --runtime-dir {} gdb-stub {} {}",
        mica.display(),
        pedestal.runtime_dir.display(),
        spec.name(),
        remoteproc.device_dir().display()
    );
    gdb::command(&spec.message.path, &stub)
}

/// What to do about an error of `start`.
fn advice(error: &std::io::Error) -> &'static str {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EBUSY) => {
            "stop what uses the core; a core of Linux is freed by `echo 0 > /sys/devices/system/cpu/cpuN/online`"
        }
        Some(Errno::ENOENT) => {
            "the kernel did not find the firmware: FirmwareDir in micad.conf must be a directory that it searches"
        }
        Some(Errno::EINVAL | Errno::ENOEXEC) => {
            "is it linked for the memory that this remoteproc has, with a .resource_table section?"
        }
        Some(Errno::ENOMEM) => "does it fit the memory that the device tree reserves for this remoteproc?",
        Some(Errno::EACCES | Errno::EPERM) => "micad needs root to start a remoteproc",
        _ => "see the kernel's log",
    }
}
