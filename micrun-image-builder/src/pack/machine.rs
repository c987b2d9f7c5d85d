//! Which QEMU machine the firmware gets: the one that was named, or the one that it was built for.

use micrun_firmware::client_conf::Machine;
use micrun_firmware::elf::{ElfInfo, Segment};
use micrun_firmware::qemu::{self, Bios, Found, Proposal};
use micrun_firmware::{ClientConf, Evidence};

use super::Firmware;
use crate::cli::PackArgs;
use crate::error::{Error, Result};

/// How far the memory is raised for a firmware that needs more, in MiB; beyond it somebody has to decide.
const MOST_MEMORY: u32 = 1024;
/// Other machines that a note names.
const MOST_OTHERS: usize = 4;
/// A segment that is farther than this from all others was perhaps not meant to be there.
const FAR: u64 = 64 << 20;

/// Completes `[Qemu]` and the memory: what the firmware is checked against is written down.
pub(super) fn settle(
    args: &PackArgs,
    conf: &mut ClientConf,
    firmware: &Firmware,
    evidence: &Evidence,
    notes: &mut Vec<String>,
) -> Result<()> {
    said(args, conf)?;
    let proposal = match (&args.target.board, &conf.qemu.machine) {
        (Some(name), _) => named(name, firmware, evidence)?,
        (None, Some(machine)) => of(machine, &firmware.info),
        (None, None) => {
            let proposal = match built_for(firmware, evidence) {
                Some(proposal) => proposal,
                None => qemu::propose(&firmware.info, evidence)
                    .map_err(|e| e.in_file(&firmware.path.display().to_string()))?,
            };
            notes.extend(reason(&proposal));
            proposal
        }
    };
    notes.extend(proposal.caveat.map(str::to_owned));
    qemu::check_machine(&proposal.machine).map_err(|reason| firmware.refuse(reason))?;
    if let Some(cpu) = &conf.qemu.cpu {
        qemu::check_cpu(cpu).map_err(|reason| firmware.refuse(reason))?;
    }
    memory(args, conf, &proposal, &firmware.info, notes);
    conf.qemu.bios = conf.qemu.bios.take().or_else(|| Bios::of(&firmware.info));
    conf.qemu.cpu = conf.qemu.cpu.take().or(proposal.cpu);
    let board = qemu::board(&proposal.machine, &firmware.info);
    if let (Some(port), None) = (board.and_then(|it| it.only_second_port(evidence)), conf.qemu.console_port) {
        notes.push(format!(
            "the console is the second serial port ({port:#x}), as the firmware knows no other; \
             --qemu ConsolePort=1 takes the first"
        ));
        conf.qemu.console_port = Some(2);
    }
    conf.qemu.machine = Some(proposal.machine);
    if firmware.facts.shell_on_console {
        // There is no second terminal to look for.
        conf.qemu.consoles.get_or_insert(1);
    }
    Ok(())
}

/// The machine of the board that the firmware's build names, if there is one.
fn built_for(firmware: &Firmware, evidence: &Evidence) -> Option<Proposal> {
    let proposal = qemu::named(firmware.facts.board.as_ref()?, &firmware.info, evidence)?;
    Some(Proposal { found: Found::ByName, ..proposal })
}

/// Puts the options into the file.
fn said(args: &PackArgs, conf: &mut ClientConf) -> Result<()> {
    let target = &args.target;
    for (key, value) in &target.qemu {
        let origin = || format!("--qemu {key}={value}");
        conf.qemu.set(key, value).map_err(|source| Error::Conf { origin: origin(), source })?;
    }
    conf.qemu.machine = target.machine.clone().or(conf.qemu.machine.take());
    conf.qemu.cpu = target.cpu.clone().or(conf.qemu.cpu.take());
    conf.mica.memory = target.memory.or(conf.mica.memory);
    Ok(())
}

fn named(name: &str, firmware: &Firmware, evidence: &Evidence) -> Result<Proposal> {
    qemu::named(name, &firmware.info, evidence).ok_or_else(|| Error::Argument {
        what: "board",
        value: name.to_owned(),
        reason: "no QEMU machine is known for it; docs/BOARDS.md lists the names, --machine takes QEMU's own"
            .to_owned(),
    })
}

/// A machine that somebody has named, with what it gets where nothing is said.
fn of(machine: &Machine, info: &ElfInfo) -> Proposal {
    let board = qemu::board(machine, info);
    Proposal {
        machine: machine.clone(),
        cpu: board.and_then(qemu::Board::default_cpu),
        memory_mb: board.and_then(qemu::Board::default_memory_mb),
        port: None,
        found: Found::ByName,
        caveat: None,
        others: Vec::new(),
    }
}

/// Why this machine, unless it is the one that everybody expects.
fn reason(proposal: &Proposal) -> Option<String> {
    let Proposal { machine, port, found, .. } = proposal;
    match (port, found) {
        (Some(port), Found::ByName) => {
            Some(format!("the machine is {machine}: the firmware names {}", port.name))
        }
        (Some(port), _) => Some(format!(
            "the machine is {machine}, as for {}'s board {}, because the firmware names none{}",
            port.os,
            port.name,
            others(proposal)
        )),
        (None, _) if machine.is_virt() => None,
        (None, Found::ByName) => Some(format!("the machine is {machine}: the firmware names it")),
        (None, Found::ByLooks) => {
            Some(format!("the machine is {machine}, as the firmware looks like it{}", others(proposal)))
        }
        (None, Found::ByFit) => Some(format!(
            "the machine is {machine}, but nothing in the firmware says so: it only has memory at the right \
             addresses, and may have another serial port{}",
            others(proposal)
        )),
    }
}

/// Other machines, as a clause.
fn others(proposal: &Proposal) -> String {
    match proposal.others.as_slice() {
        [] => String::new(),
        [some @ .., _] if some.len() >= MOST_OTHERS => {
            let more = proposal.others.len() - MOST_OTHERS;
            format!("; --machine names another ({}, {more} more)", some[..MOST_OTHERS].join(", "))
        }
        all => format!("; --machine names another ({})", all.join(", ")),
    }
}

/// QEMU puts the device tree of a RISC-V machine behind the firmware, at a multiple of this, and refuses to start without
/// room for it.
const DEVICE_TREE: u64 = 2 << 20;

/// Sets the memory where nobody has said how much.
fn memory(
    args: &PackArgs,
    conf: &mut ClientConf,
    proposal: &Proposal,
    info: &ElfInfo,
    notes: &mut Vec<String>,
) {
    let board = qemu::board(&proposal.machine, info);
    let soldered = board.is_some_and(|board| board.ram.is_none());
    match (conf.memory(), proposal.memory_mb) {
        (Some(said), _) if soldered => {
            notes.push(format!(
                "Memory = {said} has no effect: that of {} is soldered",
                proposal.machine.name()
            ));
        }
        (None, Some(wanted)) => {
            let base = board.and_then(|board| board.ram).map_or(0, |ram| ram.base);
            let needed = needed(&info.segments, base).max(wanted);
            notes.extend(far_segment(&info.segments).filter(|_| needed > wanted).map(|it| {
                format!(
                    "Memory is {needed} because of {} bytes at {:#x} alone, far from all others; if they are not meant, \
                     look for a section without a place in the linker script, or say less with --memory",
                    it.memsz, it.paddr
                )
            }));
            // In a file that was given, what is not said may be said by a container's limit.
            let unsaid = board.and_then(qemu::Board::default_memory_mb);
            if args.client_conf.is_none() || Some(needed) != unsaid {
                conf.mica.memory = Some(needed);
            }
        }
        _ => {}
    }
}

/// What reaches from the start of RAM to the firmware's end, and has room for a device tree behind that, in MiB; 0 for
/// more than anybody would give it.
fn needed(segments: &[Segment], base: u64) -> u32 {
    let ends = segments.iter().filter(|it| it.memsz > 0).map(|it| it.paddr.saturating_add(it.memsz));
    let size = ends.max().unwrap_or(base).saturating_sub(base);
    let needed = size.next_multiple_of(DEVICE_TREE).saturating_add(DEVICE_TREE) >> 20;
    u32::try_from(needed).ok().filter(|needed| *needed <= MOST_MEMORY).unwrap_or(0)
}

/// The last segment, if it is far from all others.
fn far_segment(segments: &[Segment]) -> Option<Segment> {
    let mut loaded: Vec<Segment> = segments.iter().filter(|it| it.memsz > 0).copied().collect();
    loaded.sort_unstable_by_key(|it| it.paddr);
    let [.., before, last] = loaded[..] else { return None };
    (last.paddr.saturating_sub(before.paddr.saturating_add(before.memsz)) > FAR).then_some(last)
}
