//! Whether the firmware fits the core beside Linux that it is for.

use micrun_firmware::board::{BOARDS, Core};
use micrun_firmware::{ElfInfo, Pedestal};

use super::Firmware;
use crate::cli::Target;
use crate::error::{Error, Result};

/// Checks what the options say about a firmware that QEMU does not run.
pub(super) fn check(
    target: &Target,
    pedestal: Pedestal,
    firmware: &Firmware,
    notes: &mut Vec<String>,
) -> Result<()> {
    meaningless(target, pedestal)?;
    if pedestal != Pedestal::BareMetal {
        return Ok(());
    }
    let info = &firmware.info;
    if let Some(name) = &target.board {
        named(name)?.check(info).map_err(|e| e.in_file(&firmware.path.display().to_string()))?;
    } else {
        notes.push(fitting(info));
    }
    if !info.has_resource_table {
        notes.push(
            "there is no resource table, so there will be no console; drivers that insist on one refuse the firmware"
                .to_owned(),
        );
    }
    Ok(())
}

/// The boards that it fits, as a note.
fn fitting(info: &ElfInfo) -> String {
    let names: Vec<_> = Core::fitting(info).map(|core| core.name.as_str()).collect();
    if names.is_empty() {
        return "the firmware fits none of the boards that are known here (docs/BOARDS.md); whether it fits yours is \
                found out when it starts"
            .to_owned();
    }
    format!("the firmware fits these boards: {} (--board checks it for one)", names.join(", "))
}

fn named(name: &str) -> Result<&'static Core> {
    Core::named(name).ok_or_else(|| {
        let known: Vec<_> = BOARDS.iter().map(|core| core.name.as_str()).collect();
        Error::Argument {
            what: "board",
            value: name.to_owned(),
            reason: format!("no board of this name has a core beside Linux (known: {})", known.join(", ")),
        }
    })
}

/// What says something about a QEMU machine has no meaning elsewhere.
fn meaningless(target: &Target, pedestal: Pedestal) -> Result<()> {
    let machine = target.machine.as_ref().map(|machine| ("machine", machine.to_string()));
    let cpu = target.cpu.as_ref().map(|cpu| ("cpu", cpu.to_string()));
    let qemu = target.qemu.first().map(|(key, value)| ("qemu", format!("{key}={value}")));
    let memory = target.memory.filter(|_| pedestal == Pedestal::BareMetal);
    let memory = memory.map(|memory| ("memory", memory.to_string()));
    match machine.or(cpu).or(qemu).or(memory) {
        Some((what, value)) => Err(Error::Argument {
            what,
            value,
            reason: format!("it has no meaning on the pedestal {pedestal}"),
        }),
        None => Ok(()),
    }
}
