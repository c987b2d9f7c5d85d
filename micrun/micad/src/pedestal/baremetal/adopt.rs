//! Taking over firmware of an earlier daemon. All of this blocks.

use super::BareMetal;
use super::choice::Claim;
use super::core::{Core, command};
use super::firmware;
use super::guest::{CoreGuest, Saved};
use super::kernel_log::KernelLog;
use super::lines::Lines;
use super::revive;
use super::sysfs::{Remoteproc, State};
use super::watch::Watch;
use crate::pedestal::ClientSpec;
use crate::{Error, Result};

/// Takes over the firmware that `saved` describes, or that it has ended.
pub(super) fn adopt(pedestal: &BareMetal, spec: &ClientSpec, saved: &serde_json::Value) -> Result<CoreGuest> {
    let saved = read(spec, saved)?;
    let mut lines = Lines::adopt(&saved.lines, pedestal.owner(spec));
    let (remoteproc, claim) = match find(pedestal, spec, &saved) {
        Ok(found) => found,
        Err(e) => {
            // Whoever looks what is left of an ended run must not find them.
            lines.close_now();
            return Err(e);
        }
    };
    if let Err(e) = lines.complete(&pedestal.system, &remoteproc) {
        log::error!(client = spec.name(); "{}: {}", spec.name(), e.sentence());
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
    let mut lines = Lines::adopt(&saved.lines, pedestal.owner(spec));
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
    let log = KernelLog::from_now(&pedestal.system);
    let before = saved.before.clone();
    let (system, notes) = (pedestal.system.clone(), pedestal.runtime_dir.clone());
    let core = Core { system, remoteproc, log, lines, before, notes };
    CoreGuest::new(core, claim, watch, saved)
}

fn find(pedestal: &BareMetal, spec: &ClientSpec, saved: &Saved) -> Result<(Remoteproc, Claim)> {
    let title = format!("{} ({})", saved.id, saved.name);
    let problem = |text: &str| Error::RemoteprocUnusable { problem: format!("{title} {text}") };
    let remoteproc = pedestal.system.remoteproc(&saved.id, &saved.name);
    let remoteproc = remoteproc.ok_or_else(|| problem("no longer exists"))?;
    // Whoever starts something else there says so by the firmware's name.
    if remoteproc.read("firmware")? != saved.firmware {
        return Err(problem("runs something else by now"));
    }
    let claim = pedestal.claims.take(&remoteproc, spec.name())?;
    Ok((remoteproc, claim))
}

/// Stops firmware of the client that nobody has written down.
pub(super) fn sweep(pedestal: &BareMetal, spec: &ClientSpec) {
    for remoteproc in pedestal.system.remoteprocs().unwrap_or_default() {
        let ours = remoteproc.read("firmware").is_ok_and(|name| firmware::is_of(&name, spec));
        let idle = matches!(remoteproc.state(), Ok(Some(State::Offline)));
        if !ours || idle {
            continue;
        }
        log::warn!(
            client = spec.name();
            "{}: stopping what an earlier daemon left on {}", spec.name(), remoteproc.title()
        );
        match command(&remoteproc, "stop") {
            Ok(_) => {}
            Err(e) if revive::is_refused(&remoteproc, &e) => revive::leave(spec.name(), &remoteproc),
            Err(e) => log::error!("{}: {e}", remoteproc.title()),
        }
    }
}
