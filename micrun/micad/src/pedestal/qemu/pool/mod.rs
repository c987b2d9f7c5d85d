//! Machines that wait for a firmware.
//!
//! Nearly all of a start is QEMU's own: 50 ms until it can be spoken to. So the daemon starts machines ahead, each in a
//! jail of its own and stopped before its first instruction. A start that finds one of its [`kind`] puts the firmware into
//! the machine's memory and lets it run.
//!
//! - [`kind`]: what has to be the same, and why the machine cannot be told from another one;
//! - [`demand`]: which kinds should wait;
//! - [`pressure`]: when none should;
//! - [`waiting`]: the life of one machine;
//! - [`keeper`]: the task that starts and ends them.

mod demand;
mod keeper;
mod kind;
mod pressure;
mod waiting;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libmica::ext::WaitingMachines;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

pub(super) use self::kind::Kind;
pub(super) use self::waiting::Waiting;

use self::demand::Demand;
use self::pressure::Pressure;
use super::launch::Recipe;
use super::turns::Turns;
use crate::config::Config;
use crate::pedestal::numbers::{COUNT, Numbers};
use crate::pedestal::{Rings, Tenants};

/// How long the keeper may take to end what it has begun.
const END_BOUND: Duration = Duration::from_secs(5);

/// The machines that wait, and what has them wait.
pub(in crate::pedestal) struct Pool {
    /// Their directories are here.
    root: PathBuf,
    bin_dir: PathBuf,
    /// The directory that holds `/proc`.
    system: PathBuf,
    tenants: Tenants,
    turns: Turns,
    state: Mutex<State>,
    /// The numbers of the machines that wait and of those that did and still run.
    taken: Arc<Mutex<BTreeSet<u32>>>,
    /// What should wait may be something else than what does.
    changed: Notify,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

/// How much may wait.
#[derive(Debug, Clone, Copy)]
struct Limits {
    machines: usize,
    /// In bytes.
    memory: u64,
}

impl Limits {
    fn of(config: &Config) -> Self {
        Self { machines: config.waiting_machines, memory: config.waiting_memory_mb << 20 }
    }
}

struct State {
    limits: Limits,
    /// Where what the machines' consoles show is kept.
    rings: Rings,
    waiting: Vec<Waiting>,
    demand: Demand,
    /// Starts that go on.
    starting: usize,
    /// When the last one ended.
    started: Instant,
    closed: bool,
    hits: u64,
    misses: u64,
    numbers: Numbers,
}

/// A number, from which a user comes. No other machine has it as long as this exists.
#[derive(Debug)]
pub(super) struct Lease {
    number: u32,
    taken: Arc<Mutex<BTreeSet<u32>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

/// A start that goes on. No machine is started ahead meanwhile.
pub(super) struct Starting<'a>(&'a Pool);

impl Drop for Starting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.starting -= 1;
        state.started = Instant::now();
        drop(state);
        self.0.changed.notify_one();
    }
}

impl Pool {
    /// A pool with nothing in it.
    pub(super) fn new(config: &Config, tenants: Tenants, turns: Turns) -> Self {
        let state = State {
            limits: Limits::of(config),
            rings: Rings::of(config),
            waiting: Vec::new(),
            demand: Demand::default(),
            starting: 0,
            started: Instant::now(),
            closed: false,
            hits: 0,
            misses: 0,
            numbers: Numbers::new(config.qemu_uid_base.saturating_add(COUNT)),
        };
        Self {
            root: config.runtime_dir.join("waiting"),
            bin_dir: config.qemu_path.clone(),
            system: config.sysfs_root.clone(),
            tenants,
            turns,
            state: Mutex::new(state),
            taken: Arc::default(),
            changed: Notify::new(),
            keeper: Mutex::default(),
        }
    }

    /// Ends what an earlier daemon has left, and begins to keep machines waiting.
    pub(in crate::pedestal) async fn open(self: &Arc<Self>) {
        waiting::sweep(&self.root).await;
        self.keep();
    }

    /// Has as many machines wait as `config` says.
    pub(in crate::pedestal) fn resize(self: &Arc<Self>, config: &Config) {
        let mut state = self.state();
        (state.limits, state.rings) = (Limits::of(config), Rings::of(config));
        drop(state);
        self.keep();
        self.changed.notify_one();
    }

    /// Sees to it that there is a keeper, once machines are to wait.
    fn keep(self: &Arc<Self>) {
        let wanted = self.state().limits.machines > 0;
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if wanted && keeper.is_none() {
            *keeper = Some(tokio::spawn(keeper::keep(Arc::clone(self), Pressure::of(&self.system))));
        }
    }

    /// Ends the machines. None waits from now on.
    pub(in crate::pedestal) async fn close(&self) {
        self.state().closed = true;
        self.changed.notify_one();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut keeper) = keeper else { return };
        if timeout(END_BOUND, &mut keeper).await.is_err() {
            log::warn!("a machine is still being started ahead after {END_BOUND:?}: it is ended");
            keeper.abort();
            waiting::sweep(&self.root).await;
        }
    }

    /// What can be told of it; `None` if no machine ever waits.
    pub(in crate::pedestal) fn report(&self) -> Option<WaitingMachines> {
        let state = self.state();
        (state.limits.machines > 0).then(|| WaitingMachines {
            ready: state.waiting.len(),
            most: state.limits.machines,
            memory_bytes: state.memory(),
            hits: state.hits,
            misses: state.misses,
        })
    }

    /// A start that begins. No machine is started ahead until it ends.
    pub(super) fn starting(&self) -> Starting<'_> {
        self.state().starting += 1;
        Starting(self)
    }

    /// A machine of this kind, if one waits. `None` asks for one that there cannot be.
    pub(super) fn take(&self, kind: Option<Kind>) -> Option<Waiting> {
        let mut state = self.state();
        if state.limits.machines == 0 {
            return None;
        }
        let found = kind.and_then(|kind| {
            let found = state.waiting.iter().position(|machine| *machine.kind == kind);
            state.demand.note(kind, Instant::now());
            found.map(|index| state.waiting.remove(index))
        });
        let count = if found.is_some() { &mut state.hits } else { &mut state.misses };
        *count += 1;
        found
    }

    fn lease(&self) -> Option<Lease> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let number = self.state().numbers.take(&taken)?;
        taken.insert(number);
        Some(Lease { number, taken: Arc::clone(&self.taken) })
    }

    /// How its process is started: in the daemon's own cgroups, until somebody takes it.
    fn recipe(&self, kind: &Kind, lease: &Lease) -> Recipe {
        Recipe {
            bin_dir: self.bin_dir.clone(),
            tenant: self.tenants.numbered(COUNT + lease.number),
            cgroups: Arc::default(),
            oom_score: kind.oom_score,
            restored: false,
            rings: self.state().rings.clone(),
        }
    }

    /// The state. The lock is never held across an await; a panic while it was held leaves it whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn memory(&self) -> u64 {
        self.waiting.iter().map(|machine| machine.memory).sum()
    }
}
