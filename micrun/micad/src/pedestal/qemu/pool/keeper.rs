//! The task that has machines wait.
//!
//! It does one thing at a time, and starts a machine only when nobody else starts one. At rest it sleeps until an hour
//! after the oldest start.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::kind::Kind;
use super::pressure::Pressure;
use super::{Lease, Pool, State, Waiting};
use crate::pedestal::process::{Process, ProcessId};
use crate::pedestal::qemu::turns::Turn;

/// How long no start may have been under way before a machine is started ahead: what a start begins goes on for a while.
const QUIET: Duration = Duration::from_millis(50);
/// When to look again whether memory is still short.
const AGAIN: Duration = Duration::from_secs(10);
/// Memory in bytes that the next machine is expected to need, as long as none waits.
const EXPECTED: u64 = 24 << 20;

/// What is to be done next.
enum Step {
    /// End these.
    Discard(Vec<Waiting>),
    /// Start one of this kind.
    Start(Arc<Kind>, Lease, Turn),
    /// Nothing until then, or until something changes.
    Wait(Option<Instant>),
    /// The daemon ends.
    End,
}

/// Keeps machines waiting until the pool is closed.
pub(super) async fn keep(pool: Arc<Pool>, mut pressure: Pressure) {
    loop {
        match pool.next(&pressure) {
            Step::Discard(machines) => {
                for machine in machines {
                    log::debug!("a waiting machine is ended, {}", describe(&machine.kind));
                    machine.discard().await;
                }
            }
            Step::Start(kind, lease, turn) => pool.start(kind, lease, turn).await,
            Step::Wait(until) => {
                let time = async {
                    match until {
                        Some(until) => sleep_until(until).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = pool.changed.notified() => {}
                    () = time => {}
                    () = pressure.rises() => {}
                }
            }
            Step::End => return,
        }
    }
}

impl Pool {
    fn next(&self, pressure: &Pressure) -> Step {
        let now = Instant::now();
        let mut state = self.state();
        let most = if state.closed { 0 } else { state.limits.machines };
        let mut missing = state.demand.wanted(most, now);
        let short = !(missing.is_empty() && state.waiting.is_empty()) && pressure.is_high();
        if short {
            log::debug!("memory is short: no machine is to wait");
            missing.clear();
        }
        let surplus = state.surplus(&mut missing);
        if !surplus.is_empty() {
            return Step::Discard(surplus);
        }
        if state.closed {
            return Step::End;
        }
        if short {
            return Step::Wait(Some(now + AGAIN));
        }
        let Some(kind) = missing.into_iter().next().filter(|_| state.starting == 0 && state.has_room())
        else {
            return Step::Wait(state.demand.changes_at());
        };
        if state.started + QUIET > now {
            return Step::Wait(Some(state.started + QUIET));
        }
        drop(state);
        match self.turns.try_take().and_then(|turn| Some((turn, self.lease()?))) {
            Some((turn, lease)) => Step::Start(kind, lease, turn),
            None => Step::Wait(Some(now + QUIET)),
        }
    }

    /// Has one machine more wait.
    async fn start(self: &Arc<Self>, kind: Arc<Kind>, lease: Lease, turn: Turn) {
        let (dir, recipe) = (self.root.join(lease.number.to_string()), self.recipe(&kind, &lease));
        match Waiting::start(Arc::clone(&kind), lease, dir, recipe, turn).await {
            Ok(mut machine) => {
                let process = machine.emulator.process().id();
                machine.watch = Some(Watch::over(process, Arc::clone(self)));
                log::debug!("a machine waits, process {}, {}", process.pid, describe(&kind));
                self.state().waiting.push(machine);
            }
            Err(e) => {
                log::warn!("no machine waits for a firmware, {}: {}", describe(&kind), e.sentence());
                self.state().demand.forget(&kind);
            }
        }
    }

    /// Cleans up after a machine that has ended while it waited.
    async fn bury(&self, process: ProcessId) {
        let dead = {
            let mut state = self.state();
            let found = state.waiting.iter().position(|it| it.emulator.process().id() == process);
            found.map(|index| state.waiting.remove(index))
        };
        if let Some(machine) = dead {
            log::warn!("a waiting machine has ended, process {}", process.pid);
            machine.bury().await;
            self.changed.notify_one();
        }
    }
}

impl State {
    /// Whether one more is within the limit of memory.
    fn has_room(&self) -> bool {
        let largest = self.waiting.iter().map(|machine| machine.memory).max();
        self.memory() + largest.unwrap_or(EXPECTED) <= self.limits.memory
    }

    /// Takes out what waits and is not among what is `wanted`, from which it takes what waits already.
    fn surplus(&mut self, wanted: &mut Vec<Arc<Kind>>) -> Vec<Waiting> {
        let (surplus, wait) = std::mem::take(&mut self.waiting).into_iter().partition(|machine| {
            let found = wanted.iter().position(|kind| *kind == machine.kind);
            found.map(|index| wanted.remove(index)).is_none()
        });
        self.waiting = wait;
        surplus
    }
}

/// Sees to it that a machine that ends while it waits is noticed. Dropping this ends that.
#[derive(Debug)]
pub(super) struct Watch(JoinHandle<()>);

impl Watch {
    fn over(process: ProcessId, pool: Arc<Pool>) -> Self {
        Self(tokio::spawn(async move {
            if let Some(watched) = Process::adopt(process) {
                watched.ended().await;
            }
            // What follows must not end with this value.
            tokio::spawn(async move { pool.bury(process).await });
        }))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn describe(kind: &Kind) -> String {
    let Kind { machine, .. } = kind;
    let cpu = machine.cpu.as_ref().map_or("", |cpu| cpu.as_str());
    let memory = machine.memory_mb.unwrap_or_default();
    format!("{} with {} {cpu} and {memory} MiB, entry {:#x}", machine.name, machine.cpus, machine.entry)
}
