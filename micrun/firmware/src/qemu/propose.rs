//! Which machine a firmware was built for, by its processor, by where it is linked and by what it carries.

use super::{BOARDS, Board, PORTS, Port, ports};
use crate::board::Core;
use crate::client_conf::{Cpu, Machine};
use crate::elf::{ElfInfo, Family, Fault, Requirements, Segment, check, list};
use crate::evidence::Evidence;
use crate::{Error, Pedestal, Result};

/// Machines that a message lists with their memory.
const TRIED: usize = 4;

/// A machine for a firmware.
#[derive(Debug, Clone)]
pub struct Proposal {
    /// QEMU's machine, with the options that the firmware needs.
    pub machine: Machine,
    /// The CPU model; `None` leaves it to the machine.
    pub cpu: Option<Cpu>,
    /// Its memory in MiB; `None` where that is no matter of choice.
    pub memory_mb: Option<u32>,
    /// The board of an RTOS that it is the machine of.
    pub port: Option<&'static Port>,
    /// How it was found.
    pub found: Found,
    /// What a user has to know of it, as a sentence.
    pub caveat: Option<&'static str>,
    /// Other machines that fit.
    pub others: Vec<&'static str>,
}

/// How a machine was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// It is the first one of the table that fits: nothing in the firmware says more.
    ByFit,
    /// The firmware has the address of its serial port, or other marks of it.
    ByLooks,
    /// The firmware or the user names it.
    ByName,
}

/// The boards that fit a firmware, those with RAM for it before those that have flash there.
pub(super) fn fitting(elf: &ElfInfo) -> impl Iterator<Item = &'static Board> {
    let fitting = BOARDS.iter().filter(|board| board.fits(elf));
    let (flash, ram): (Vec<_>, Vec<_>) = fitting.partition(|board| board.boots_from_flash(elf));
    ram.into_iter().chain(flash)
}

/// The machine that the firmware was most likely built for. An error if none has memory where it is linked.
pub fn propose(elf: &ElfInfo, evidence: &Evidence) -> Result<Proposal> {
    check(elf, &Requirements::of(Pedestal::Qemu))?;
    let mut best: Option<(u32, &Board, Option<&'static Port>)> = None;
    let mut consider = |score: u32, board, port: Option<&'static Port>| {
        if best.as_ref().is_none_or(|(most, ..)| score > *most) {
            best = Some((score, board, port));
        }
    };
    for board in fitting(elf) {
        let by_looks = looks(board, elf, evidence);
        for port in PORTS.iter().filter(|port| port.is_on(board)) {
            if let Some(score) = port.score(evidence) {
                consider(by_looks + score, board, Some(port));
            }
        }
        consider(by_looks, board, None);
    }
    let (score, board, port) = best.ok_or_else(|| none_fits(elf))?;
    if let Some(board) = evidence.zephyr_board().filter(|_| score < NAMED) {
        return Err(Error::elf(Fault::OtherBoard { board: board.to_owned() }));
    }
    let mut others: Vec<_> = fitting(elf).map(|it| it.machine).filter(|it| *it != board.machine).collect();
    others.dedup();
    let found = match score {
        NAMED.. => Found::ByName,
        CONSOLE.. => Found::ByLooks,
        _ => Found::ByFit,
    };
    Ok(Proposal { found, others, ..Proposal::of(board, port) })
}

/// The machine by a name: QEMU's own, or that of an RTOS's board (`qemu_cortex_m3`, `mps2/an385`), with what
/// that RTOS adds to it (`qemu_cortex_m3/ti_lm3s6965`).
pub fn named(name: &str, elf: &ElfInfo, evidence: &Evidence) -> Option<Proposal> {
    let name = ports::normal(name);
    let is = |own: &str| {
        name.strip_prefix(&ports::normal(own)).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    let family = elf.family()?;
    let variant = |port: &Port| port.variant.is_none_or(|variant| evidence.names(variant));
    // The longest name is meant where one begins with another.
    let port = PORTS
        .iter()
        .filter(|port| port.family == family && is(port.name) && variant(port))
        .max_by_key(|port| (port.name.len(), port.variant.is_some()));
    let board = match port {
        Some(port) => BOARDS.iter().find(|board| port.is_on(board)),
        None => BOARDS.iter().filter(|board| is(board.machine)).max_by_key(|board| board.family == family),
    };
    Some(Proposal::of(board?, port))
}

/// The firmware names the board itself.
const NAMED: u32 = 16;
/// The firmware knows where the board's serial port is.
const CONSOLE: u32 = 4;
/// It was built for the very processor that the board has.
const MODEL: u32 = 2;
/// Its first stack ends where the board's memory ends.
const STACK: u32 = 2;
/// Its operating system has a port to the board.
const SYSTEM: u32 = 1;

fn looks(board: &Board, elf: &ElfInfo, evidence: &Evidence) -> u32 {
    let points = |holds: bool, points| if holds { points } else { 0 };
    let model = elf.processor.as_ref().and_then(|it| it.model.as_deref());
    let stack = elf.stack.is_some_and(|stack| board.windows.iter().any(|window| window.end() == stack));
    points(evidence.names(board.machine), NAMED)
        + points(evidence.has_one_of(board.consoles), CONSOLE)
        + points(model == Some(board.model), MODEL)
        + points(stack, STACK)
}

impl Port {
    /// How much speaks for it, besides the board; `None` if the firmware is not of this port.
    fn score(&self, evidence: &Evidence) -> Option<u32> {
        let variant = self.variant.map(|variant| evidence.names(variant));
        if variant == Some(false) {
            return None;
        }
        if evidence.names(self.name) {
            return Some(NAMED + SYSTEM + u32::from(variant.is_some()));
        }
        // A system has one port to a large processor's machine, but microcontrollers' boards look alike.
        let own = evidence.os().is_some_and(|os| os.as_str() == self.os);
        (own && self.family != Family::M).then_some(SYSTEM)
    }

    /// Whether the board is the one that the port runs on.
    fn is_on(&self, board: &Board) -> bool {
        self.family == board.family && self.machine.split(',').next() == Some(board.machine)
    }
}

impl Proposal {
    #[expect(clippy::expect_used, reason = "a test reads every machine and CPU of the tables")]
    fn of(board: &Board, port: Option<&'static Port>) -> Self {
        let machine = port.map_or_else(|| board.machine(), |port| port.machine.parse().expect("a machine"));
        let cpu = port.and_then(|port| port.cpu).map(|cpu| cpu.parse().expect("a CPU"));
        let memory = port.and_then(|port| port.memory);
        Self {
            machine: board.complete(machine),
            cpu: cpu.or_else(|| board.default_cpu()),
            memory_mb: board.ram.map(|ram| memory.unwrap_or(ram.unsaid)),
            port,
            found: Found::ByName,
            caveat: port.and_then(|port| port.caveat),
            others: Vec::new(),
        }
    }
}

/// Why no board fits: a segment gone astray if that is all, else the memory of those with the processor.
fn none_fits(elf: &ElfInfo) -> Error {
    let boards: Vec<_> = BOARDS.iter().filter(|board| board.runs(elf)).collect();
    let outside = |board: &Board, segment: &Segment| {
        let windows = board.windows(board.ram.map_or(0, |ram| ram.most), None);
        segment.memsz > 0 && !windows.iter().any(|window| window.holds(segment.paddr, segment.memsz))
    };
    let count = |board: &&&Board| elf.segments.iter().filter(|segment| outside(board, segment)).count();
    let processor = elf.processor.as_ref().map_or_else(|| elf.machine.to_string(), ToString::to_string);
    let Some(nearest) = boards.iter().min_by_key(count) else {
        return Error::elf(Fault::UnknownMachine { machine: elf.machine });
    };
    let memory = nearest.ram.map_or(0, |ram| ram.most);
    let first = elf.segments.iter().position(|segment| outside(nearest, segment));
    match (nearest.check(elf, memory, super::Bios::of(elf).as_ref()), first) {
        (Err(Error::Elf { fault, .. }), Some(index))
            if matches!(*fault, Fault::SegmentOutsideMemory { .. }) =>
        {
            let segment = elf.segments[index];
            let windows = |board: &&Board| {
                let memory = board.ram.map_or(0, |ram| ram.most);
                format!("{}: {}", board.machine, list(&board.windows(memory, None)))
            };
            let mut tried: Vec<_> = boards.iter().take(TRIED).map(windows).collect();
            if boards.len() > TRIED {
                tried.push(format!("{} more in docs/BOARDS.md", boards.len() - TRIED));
            }
            Error::elf(Fault::NoMachine {
                index,
                start: segment.paddr,
                end: segment.paddr.saturating_add(segment.memsz),
                processor,
                tried: tried.join("; ") + &cores(elf),
            })
        }
        (Err(error), _) => error,
        // It fits after all, which `fitting` has denied; nothing can be both.
        (Ok(()), _) => Error::elf(Fault::UnknownMachine { machine: elf.machine }),
    }
}

/// The boards with a core beside Linux that it fits, as a clause.
fn cores(elf: &ElfInfo) -> String {
    let names: Vec<_> = Core::fitting(elf).map(|core| core.name.as_str()).collect();
    if names.is_empty() {
        return String::new();
    }
    format!("; it fits cores beside Linux: --pedestal baremetal for {}", names.join(", "))
}
