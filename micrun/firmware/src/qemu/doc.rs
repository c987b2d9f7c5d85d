//! `docs/BOARDS.md`, made from the tables.

use std::fmt::Write as _;

use super::{BOARDS, Board, PORTS};
use crate::board::BOARDS as CORES;
use crate::elf::list;

const HEAD: &str = "\
# Boards

This page is made from the tables in `micrun/firmware`. Do not edit it:
`cargo run -p micrun-firmware --example boards-doc > docs/BOARDS.md`.

## QEMU machines

`pack` proposes one of these for a firmware, by its processor, by the addresses it is linked to, and
by what it carries: the name of a board, the address of a serial port. `--machine` names another
one. Where several fit alike, the first one of this table is taken, and a note names the others.
Memory `from ADDRESS` is as large as `Memory` says. Other memory is soldered, and `Memory` has no
effect on it.

";

const PORT_HEAD: &str = "
Firmware that carries one of these names was built for that line. `pack --board NAME` says the same
for firmware that does not carry it. `-` and `/` are as good as `_`.

| board | of | machine | `CPU` | `Memory` | remark |
|---|---|---|---|---|---|
";

const CORE_HEAD: &str = "
## Cores beside Linux

`pack --pedestal baremetal --board NAME` checks the firmware against one of these before it is
deployed. Without `--board`, a note says which of them it fits. Each is a file in
`micrun/firmware/boards` that names its sources. Memory in DDR is where the board's device tree
reserves it, which no table knows: the whole range is accepted.

| board | core | memory | remoteproc | resource table |
|---|---|---|---|---|
";

/// The whole page.
pub fn page() -> String {
    let mut page = HEAD.to_owned();
    page += "| machine | firmware | processor | memory | console | emulator |\n|---|---|---|---|---|---|\n";
    for board in BOARDS {
        let consoles: Vec<_> = board.consoles.iter().map(|address| format!("{address:#x}")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} | {} | `{}` |",
            board.machine,
            board.family,
            board.model,
            memory(board),
            consoles.join(", "),
            board.program
        );
    }
    page += PORT_HEAD;
    for port in PORTS {
        let memory = port.memory.map_or_else(|| "-".to_owned(), |megabytes| megabytes.to_string());
        let variant = port.variant.map_or_else(String::new, |it| format!(" with `{}`", it.to_uppercase()));
        let _ = writeln!(
            page,
            "| `{}`{variant} | {} | `{}` | {} | {memory} | {} |",
            port.name,
            port.os,
            port.machine,
            port.cpu.unwrap_or("-"),
            port.caveat.unwrap_or("-")
        );
    }
    page += CORE_HEAD;
    for core in CORES.iter() {
        let windows: Vec<_> = core.memory.iter().map(|it| format!("{} {}", it.name, it.window())).collect();
        let names = if core.remoteproc.is_empty() { "-".to_owned() } else { core.remoteproc.join(", ") };
        let _ = writeln!(
            page,
            "| `{}` {} | {} | {} | {names} | {} |",
            core.name,
            core.title,
            core.core,
            windows.join("<br>"),
            if core.resource_table { "required" } else { "only for rpmsg" }
        );
    }
    page
}

fn memory(board: &Board) -> String {
    let chosen = board.ram.map(|ram| format!("from {:#x}, {} MiB if not said", ram.base, ram.unsaid));
    let soldered = Some(list(board.windows)).filter(|text| !text.is_empty());
    let flash = board.flash.map(|flash| format!("{flash} (flash) for firmware that begins there"));
    [chosen, soldered, flash].into_iter().flatten().collect::<Vec<_>>().join("; ")
}
