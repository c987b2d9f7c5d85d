//! Bringing firmware up on a remoteproc, and taking it over.

use libmica::ClientState;
use rustix::io::Errno;

use super::choice::{self, Claim};
use super::firmware::{self, FirmwareDir, Placed};
use super::guest::{Before, CoreGuest, Saved};
use super::kernel_log::KernelLog;
use super::lines::Lines;
use super::sysfs::{Remoteproc, State};
use super::watch::Watch;
use super::{BareMetal, command};
use crate::pedestal::{ClientSpec, boot_usec};
use crate::{Error, Result};

/// Boots the client's firmware on the remoteproc that fits it.
pub(super) async fn start(pedestal: &BareMetal, spec: &ClientSpec) -> Result<CoreGuest> {
    let (remoteproc, claim) =
        choice::choose(&pedestal.system, &pedestal.claims, &spec.message.cpu, spec.name())?;
    let placed = FirmwareDir::find(&pedestal.system, pedestal.firmware_dir.as_deref())?.place(spec)?;
    // Before the start, so that nothing after it is missed.
    let watch = Watch::new(&pedestal.system, &remoteproc);
    let mut log = KernelLog::from_now(&pedestal.system);
    let mut lines = Lines::new(&spec.tty_link, pedestal.uid(spec))?;
    let before = Before::take(&remoteproc);
    if let Err(e) = boot(&remoteproc, &placed).await {
        before.restore(&remoteproc);
        lines.close();
        let complaints = log.complaints(&remoteproc);
        let reason = if complaints.is_empty() { String::new() } else { format!(" (kernel: {complaints})") };
        let problem = format!("{e}{reason}: {}", advice(&e));
        return Err(Error::RemoteprocStart { remoteproc: remoteproc.title(), problem });
    }
    log::debug!("{}: {} runs {}", spec.name(), remoteproc.title(), placed.name);
    let saved = Saved {
        id: remoteproc.id.clone(),
        name: remoteproc.name.clone(),
        firmware: placed.name.clone(),
        before,
        since_usec: boot_usec(),
        lines: Vec::new(),
    };
    // The kernel has its copy; `placed` goes here.
    Ok(CoreGuest {
        system: pedestal.system.clone(),
        remoteproc,
        claim: Some(claim),
        watch,
        log,
        lines,
        saved,
        state: ClientState::Running,
    })
}

async fn boot(remoteproc: &Remoteproc, placed: &Placed) -> std::io::Result<()> {
    remoteproc.write("firmware", &placed.name)?;
    command::write_state(remoteproc, "start").await.map(drop)
}

/// What to do about an error of `start`.
fn advice(error: &std::io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::BUSY) => {
            "stop what uses the core; a core of Linux is freed by `echo 0 > /sys/devices/system/cpu/cpuN/online`"
        }
        Some(Errno::NOENT) => {
            "the kernel did not find the firmware: FirmwareDir in micad.conf must be a directory that it searches"
        }
        Some(Errno::INVAL | Errno::NOEXEC) => {
            "is it linked for the memory that this remoteproc has, with a .resource_table section?"
        }
        Some(Errno::NOMEM) => "does it fit the memory that the device tree reserves for this remoteproc?",
        Some(Errno::ACCESS | Errno::PERM) => "micad needs root to start a remoteproc",
        _ => "see the kernel's log",
    }
}

/// Takes over the firmware that `saved` describes, or that it has ended.
pub(super) fn adopt(pedestal: &BareMetal, spec: &ClientSpec, saved: &serde_json::Value) -> Result<CoreGuest> {
    let saved = read(spec, saved)?;
    let mut lines = Lines::adopt(&saved.lines, &spec.tty_link, pedestal.uid(spec));
    let (remoteproc, claim) = match find(pedestal, spec, &saved) {
        Ok(found) => found,
        Err(e) => {
            lines.close();
            return Err(e);
        }
    };
    if let Err(e) = lines.complete(&pedestal.system, &remoteproc) {
        log::error!("{}: {}", spec.name(), e.sentence());
    }
    Ok(guest(pedestal, remoteproc, Some(claim), lines, saved))
}

/// Takes over the terminals that are left of an ended run of the firmware that `saved` describes, if any are.
pub(super) fn adopt_ended(
    pedestal: &BareMetal,
    spec: &ClientSpec,
    saved: &serde_json::Value,
) -> Result<Option<CoreGuest>> {
    let saved = read(spec, saved)?;
    let mut lines = Lines::adopt(&saved.lines, &spec.tty_link, pedestal.uid(spec));
    let Some(remoteproc) = pedestal.system.remoteproc(&saved.id, &saved.name) else {
        lines.close();
        return Ok(None);
    };
    Ok((!lines.is_empty()).then(|| guest(pedestal, remoteproc, None, lines, saved)))
}

fn read(spec: &ClientSpec, saved: &serde_json::Value) -> Result<Saved> {
    serde_json::from_value(saved.clone())
        .map_err(|e| Error::Config { path: spec.dir.join("state.json"), problem: e.to_string() })
}

fn guest(
    pedestal: &BareMetal,
    remoteproc: Remoteproc,
    claim: Option<Claim>,
    lines: Lines,
    saved: Saved,
) -> CoreGuest {
    let watch = Watch::new(&pedestal.system, &remoteproc);
    let state = if remoteproc.is_paused() { ClientState::Suspended } else { ClientState::Running };
    let log = KernelLog::from_now(&pedestal.system);
    CoreGuest { system: pedestal.system.clone(), remoteproc, claim, watch, log, lines, saved, state }
}

fn find(pedestal: &BareMetal, spec: &ClientSpec, saved: &Saved) -> Result<(Remoteproc, Claim)> {
    let title = format!("{} ({})", saved.id, saved.name);
    let problem = |text: &str| Error::RemoteprocUnusable { problem: format!("{title} {text}") };
    let remoteproc = pedestal.system.remoteproc(&saved.id, &saved.name);
    let remoteproc = remoteproc.ok_or_else(|| problem("is no more"))?;
    // Whoever starts something else there says so by the firmware's name.
    if remoteproc.read("firmware")? != saved.firmware {
        return Err(problem("runs something else by now"));
    }
    let claim = pedestal.claims.take(&remoteproc, spec.name())?;
    Ok((remoteproc, claim))
}

/// Stops firmware of the client that nobody has written down.
pub(super) async fn sweep(pedestal: &BareMetal, spec: &ClientSpec) {
    for remoteproc in pedestal.system.remoteprocs().unwrap_or_default() {
        let ours = remoteproc.read("firmware").is_ok_and(|name| firmware::is_of(&name, spec));
        let idle = matches!(remoteproc.state(), Ok(Some(State::Offline)));
        if !ours || idle {
            continue;
        }
        log::warn!("{}: stopping what an earlier daemon left on {}", spec.name(), remoteproc.title());
        if let Err(e) = command::write_state(&remoteproc, "stop").await {
            log::error!("{}: {e}", remoteproc.title());
        }
    }
}
