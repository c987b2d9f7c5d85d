//! What a machine that shows no sign of life is doing, found out while it runs.
//!
//! Two looks at the processor tell whether it stands still: QEMU's monitor gives the registers, the kernel says whether
//! the thread that emulates the processor runs. Neither stops the machine.

use std::path::Path;
use std::time::Duration;

use micrun_firmware::elf::Place;
use serde_json::{Value, json};

use super::emulator::Emulator;
use super::pending;
use super::registers::Registers;
use crate::pedestal::process::Thread;
use crate::pedestal::processor::place;
use crate::{Error, Result, blocking};

/// Between two looks.
const WINDOW: Duration = Duration::from_millis(50);
/// CPU time in one window that a processor at rest may have used, in nanoseconds: its interrupts take some.
const REST: u64 = 10_000_000;

/// A sentence about the machine's first processor; `firmware` names its functions.
pub(super) async fn diagnose(emulator: &mut Emulator, firmware: &Path) -> String {
    match look_twice(emulator).await {
        Ok(Sight::Stopped(status)) => format!("its machine does not run: it is {status}"),
        Ok(Sight::Runs(processor)) => {
            let (firmware, pcs) = (firmware.to_owned(), processor.looks.each_ref().map(|look| look.pc));
            let places = blocking::run(move || pcs.map(|pc| place(&firmware, pc))).await;
            let pending = pending::look(emulator, &processor.text).await;
            let said = [Some(processor.describe(&places)), pending];
            said.into_iter().flatten().collect::<Vec<_>>().join("; ")
        }
        Err(e) => format!("nothing can be seen of its machine: {}", e.sentence()),
    }
}

enum Sight {
    /// It stands still, in QEMU's word for the reason.
    Stopped(String),
    Runs(Processor),
}

/// Two looks at a processor.
struct Processor {
    looks: [Registers; 2],
    /// The second look in the monitor's words.
    text: String,
    /// Whether its thread ran between them.
    busy: bool,
}

async fn look_twice(emulator: &mut Emulator) -> Result<Sight> {
    let status = emulator.command("query-status", json!({})).await?;
    if status.get("running") != Some(&Value::Bool(true)) {
        let word = status.get("status").and_then(Value::as_str).unwrap_or("stopped");
        return Ok(Sight::Stopped(word.to_owned()));
    }
    let cpus = emulator.command("query-cpus-fast", json!({})).await?;
    let id = cpus.pointer("/0/thread-id").and_then(Value::as_i64);
    let id = id.ok_or_else(|| Error::Qmp("query-cpus-fast names no thread".to_owned()))?;
    let thread = Thread { pid: emulator.process().id().pid, id };
    let before = blocking::run(move || thread.look()).await;
    let (first, _) = registers(emulator).await?;
    tokio::time::sleep(WINDOW).await;
    let (second, text) = registers(emulator).await?;
    let after = blocking::run(move || thread.look()).await;
    let used = after.cpu_nsec.saturating_sub(before.cpu_nsec);
    let busy = (before.runs && after.runs) || used > REST;
    Ok(Sight::Runs(Processor { looks: [first, second], text, busy }))
}

async fn registers(emulator: &mut Emulator) -> Result<(Registers, String)> {
    let text = ask(emulator, "info registers").await?;
    match Registers::parse(&text) {
        Some(registers) => Ok((registers, text)),
        None => Err(Error::Qmp("info registers names no program counter".to_owned())),
    }
}

/// What QEMU's monitor for people answers to a line.
pub(super) async fn ask(emulator: &mut Emulator, line: &str) -> Result<String> {
    let answer = emulator.command("human-monitor-command", json!({"command-line": line})).await?;
    Ok(answer.as_str().unwrap_or_default().to_owned())
}

impl Processor {
    fn describe(&self, [from, to]: &[Place; 2]) -> String {
        let [first, second] = &self.looks;
        let here = format!("at {:#x}, {to} ({second})", second.pc);
        if second.has_no_vectors() {
            return format!(
                "its processor is {here}: an exception came before the firmware had installed exception vectors"
            );
        }
        if !self.busy {
            return format!("its processor waits for an interrupt {here}");
        }
        if first.pc == second.pc || is_one_function(from, to) {
            return format!("its processor spins {here}");
        }
        format!("its processor runs, {here}, before that at {:#x}, {from}", first.pc)
    }
}

fn is_one_function(from: &Place, to: &Place) -> bool {
    match (from, to) {
        (Place::Symbol { name: from, .. }, Place::Symbol { name: to, .. }) => from == to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pc: u64) -> Registers {
        Registers::parse(&format!("PC={pc:016x}\nPSTATE=600003c5 -ZC- EL1h")).unwrap()
    }

    fn describe(looks: [u64; 2], busy: bool, places: &[Place; 2]) -> String {
        Processor { looks: looks.map(look), text: String::new(), busy }.describe(places)
    }

    #[test]
    fn a_sentence_for_each_kind() {
        let main = |offset| Place::Symbol { name: "main".into(), offset };
        let masked = "(EL1h, interrupts masked)";
        assert_eq!(
            describe([0x4010_0008; 2], false, &[main(8), main(8)]),
            format!("its processor waits for an interrupt at 0x40100008, in main+0x8 {masked}")
        );
        assert_eq!(
            describe([0x4010_0004, 0x4010_0008], true, &[main(4), main(8)]),
            format!("its processor spins at 0x40100008, in main+0x8 {masked}")
        );
        assert_eq!(
            describe([0x4010_0004, 0x10], true, &[main(4), Place::Outside]),
            format!(
                "its processor is at 0x10, outside of the firmware's segments {masked}: an exception came before the \
                 firmware had installed exception vectors"
            )
        );
        assert_eq!(
            describe([0x4010_0004, 0x4010_0100], true, &[Place::Unnamed, Place::Unnamed]),
            format!(
                "its processor runs, at 0x40100100, in the firmware, whose ELF names no function there {masked}, \
                 before that at 0x40100004, in the firmware, whose ELF names no function there"
            )
        );
    }
}
