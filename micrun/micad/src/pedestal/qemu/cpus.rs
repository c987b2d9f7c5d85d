//! On which CPUs of the host a QEMU runs that is in no cgroup of its own.
//!
//! Whoever gives it a cgroup gives it the cgroup's CPUs as well, and may change them. For the rest this sets its
//! affinity, which it cannot change: its sandbox denies that.

use micrun_firmware::{CpuList, SharedCpus};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::Result;
use crate::error::system;

/// This thread.
const SELF: Pid = Pid::from_raw(0);

/// The CPUs for a client that asks for `asked`. Without a pool nobody is bound, as upstream has it.
pub(super) fn of_client(pool: Option<&SharedCpus>, asked: &str) -> Result<Option<CpuList>> {
    Ok(pool.map(|pool| pool.place(asked)).transpose()?)
}

/// Starts something on these CPUs: a process inherits them of the thread that starts it.
pub(super) fn started_on<T>(cpus: Option<&CpuList>, start: impl FnOnce() -> Result<T>) -> Result<T> {
    let Some(cpus) = cpus else { return start() };
    let _bound = Bound::to(cpus)?;
    start()
}

/// A thread that is bound to CPUs as long as this exists.
struct Bound {
    before: CpuSet,
}

impl Bound {
    fn to(cpus: &CpuList) -> Result<Self> {
        let doing = "give QEMU its CPUs (SharedCpus in micad.conf, CPU in the client's conf)";
        let mut set = CpuSet::new();
        cpus.iter().try_for_each(|cpu| set.set(cpu as usize)).map_err(system(doing))?;
        let before = sched_getaffinity(SELF).map_err(system(doing))?;
        sched_setaffinity(SELF, &set).map_err(system(doing))?;
        Ok(Self { before })
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Err(error) = sched_setaffinity(SELF, &self.before) {
            log::error!("a thread of the daemon stays bound to the CPUs of a client: {error}");
        }
    }
}
