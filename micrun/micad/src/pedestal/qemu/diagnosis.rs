//! What a machine that shows no sign of life is doing, found out while it runs.
//!
//! Two looks at the processor tell whether it stands still: QEMU's monitor gives the registers, the kernel says whether
//! the thread that emulates the processor runs. Neither stops the machine.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::emulator::Emulator;
use super::pending;
use super::processor::Processor;
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
