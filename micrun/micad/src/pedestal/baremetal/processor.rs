//! Where firmware on a core is: the monitor at EL2 holds the core for a moment, as long as it takes to read a few
//! registers. All of this blocks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::sysfs::Remoteproc;
use crate::pedestal::processor::place;
use crate::pedestal::registers::number;

/// `wfi` and `wfe`. A processor that is woken out of one has its program counter behind it.
const WAITS: [u32; 2] = [0xd503_207f, 0xd503_205f];
/// The bit of PSTATE that masks interrupts.
const MASKED: u64 = 1 << 7;

/// A clause about the core's processor; `None` if nothing can hold it.
pub(super) fn look(remoteproc: &Remoteproc, firmware: &Path) -> Option<String> {
    let is_held = remoteproc.device_attribute("monitor").as_deref() == Some("yes");
    if !is_held || !remoteproc.is_debuggable() {
        return None;
    }
    let was_paused = remoteproc.is_paused();
    if !was_paused {
        remoteproc.write_device_attribute("paused", "1").ok()?;
    }
    let seen = Seen::read(remoteproc);
    if !was_paused && let Err(e) = remoteproc.write_device_attribute("paused", "0") {
        log::error!("{}: the firmware stays paused after a look at it: {e}", remoteproc.title());
    }
    let Seen { pc, status, waits } = seen?;
    let does = if waits { "waits for an interrupt" } else { "is" };
    let stack = if status & 1 == 1 { 'h' } else { 't' };
    let (level, masked) = (status >> 2 & 3, if status & MASKED == 0 { "not masked" } else { "masked" });
    let place = place(firmware, pc);
    Some(format!("its processor {does} at {pc:#x}, {place} (EL{level}{stack}, interrupts {masked})"))
}

/// What is read while the core is held.
struct Seen {
    pc: u64,
    /// PSTATE.
    status: u64,
    /// Whether the instruction before is one that waits.
    waits: bool,
}

impl Seen {
    fn read(remoteproc: &Remoteproc) -> Option<Self> {
        let text = remoteproc.device_attribute("registers")?;
        let (pc, status) = number(&text, "pc").zip(number(&text, "cpsr"))?;
        let mut before = [0; 4];
        let memory = File::open(remoteproc.device_dir().join("memory")).ok();
        let read = memory.and_then(|memory| memory.read_exact_at(&mut before, pc.checked_sub(4)?).ok());
        Some(Self { pc, status, waits: read.is_some() && WAITS.contains(&u32::from_le_bytes(before)) })
    }
}
