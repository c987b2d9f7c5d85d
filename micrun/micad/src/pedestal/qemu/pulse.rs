//! What tells a watchdog that firmware lives: a word of its memory, and the thread that emulates its processor.
//!
//! Both are read from outside, without QEMU's help: a QEMU that waits for a reader of its console answers nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::emulator::Emulator;
use super::ram::Ram;
use crate::blocking;
use crate::pedestal::process::Thread;
use crate::pedestal::{HEARTBEAT, Pulse};

/// What QEMU was asked for once in a run.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    /// Where the heartbeat is in QEMU's memory.
    heartbeat: Option<Ram>,
    /// The thread of the first processor.
    thread: Option<Thread>,
}

impl Vitals {
    /// A look at firmware whose exit record is there, if it has one.
    pub(super) async fn pulse(&mut self, emulator: &mut Emulator, exit_record: Option<u64>) -> Pulse {
        let place = exit_record.and_then(|record| record.checked_add(HEARTBEAT));
        if let (None, Some(place)) = (self.heartbeat, place) {
            self.heartbeat = Ram::find(emulator, place, 4).await.ok();
        }
        if self.thread.is_none() {
            self.thread = thread(emulator).await;
        }
        let (heartbeat, thread) = (self.heartbeat.zip(place), self.thread);
        blocking::run(move || Pulse {
            heartbeat: heartbeat.and_then(|(ram, place)| word(ram, place)),
            console: None,
            processor: thread
                .map(Thread::look)
                .filter(|it| it.cpu_nsec > 0)
                .map(|it| (Duration::from_nanos(it.cpu_nsec), Duration::from_nanos(it.waited_nsec))),
        })
        .await
    }
}

fn word(ram: Ram, place: u64) -> Option<u32> {
    let mut bytes = [0; 4];
    ram.read_into(place, &mut bytes).ok()?;
    Some(u32::from_le_bytes(bytes))
}

async fn thread(emulator: &mut Emulator) -> Option<Thread> {
    let cpus = emulator.command("query-cpus-fast", json!({})).await.ok()?;
    let id = cpus.pointer("/0/thread-id").and_then(Value::as_i64)?;
    Some(Thread { pid: emulator.process().id().pid, id })
}
