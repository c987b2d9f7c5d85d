//! A warm patch of firmware on a core: the monitor at EL2 holds the core, and our driver writes its memory. All of this
//! blocks. docs/PATCH.md has the rules.
//!
//! The driver has the monitor clean the core's caches and drop its instruction cache at each write.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use micrun_firmware::Sha256Digest;

use super::NAME;
use super::core::Core;
use super::memory::CoreMemory;
use super::sysfs::Remoteproc;
use crate::pedestal::firmware_file;
use crate::pedestal::patch::{Applied, Marker, Plan, refuse, rewrite};
use crate::pedestal::registers::number;
use crate::{Error, Result};

/// What is known of the firmware that runs.
pub(super) struct Base {
    /// Where the file was that it was started from.
    pub(super) path: PathBuf,
    /// That file's digest then.
    pub(super) sha256: Option<Sha256Digest>,
    /// What it was patched with since.
    pub(super) applied: Option<Applied>,
}

/// Has the memory of the core be what `firmware` loads; gives what was done, and how long the core stood still.
pub(super) fn patch(core: &Core, base: &Base, firmware: &File, marker: &Marker) -> Result<(Plan, Duration)> {
    if !core.remoteproc.is_debuggable() {
        return Err(refuse("the driver of its core does not show its memory: start it anew"));
    }
    let started = open(base).map_err(refuse)?;
    let plan = Plan::make(&started, base.applied.as_ref(), firmware).map_err(refuse)?;
    if plan.pieces.is_empty() {
        return Ok((plan, Duration::ZERO));
    }
    let mut memory = CoreMemory::open(&core.remoteproc)?;
    marker.set()?;
    let began = Instant::now();
    core.set_paused("be patched", "1").map_err(|e| refuse(e.sentence()))?;
    let written = write_paused(&core.remoteproc, &mut memory, &plan);
    // Also after a failure: nothing has changed then. Half a firmware must not run.
    let resumed = match written {
        Err(Error::HalfPatched { .. }) => Ok(()),
        _ => core.set_paused("resume", "0"),
    };
    written.and(resumed).map(|()| (plan, began.elapsed()))
}

/// The file that was started, if it still is what it was. The kernel keeps no copy.
fn open(base: &Base) -> Result<File, String> {
    let sha256 =
        base.sha256.ok_or("it was started by a micad that did not note its digest: start it anew")?;
    let opened = firmware_file::open(&base.path, NAME).map_err(|e| e.sentence())?;
    let found =
        Sha256Digest::read(&mut &opened).map_err(|e| format!("cannot read {}: {e}", base.path.display()))?;
    if found == sha256 {
        return Ok(opened);
    }
    Err(format!(
        "{} is not what was started ({sha256}): put that file back, or start the client anew",
        base.path.display()
    ))
}

fn write_paused(remoteproc: &Remoteproc, memory: &mut CoreMemory, plan: &Plan) -> Result<()> {
    let registers = remoteproc.device_attribute("registers").unwrap_or_default();
    let pc = number(&registers, "pc")
        .ok_or_else(|| refuse(format!("{} names no program counter", remoteproc.title())))?;
    plan.check_pc(remoteproc.title(), pc)?;
    rewrite(memory, &plan.pieces)
}
