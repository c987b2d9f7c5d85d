//! Descriptors that systemd keeps for the next daemon (`sd_notify(3)`, `FDSTORE=1`).
//!
//! They are those by which a process that outlives the daemon is reached, and go by the process and its own number for
//! them. Without this, the next daemon takes them from that process, for which it needs `CAP_SYS_PTRACE` and
//! `pidfd_getfd(2)` of Linux 5.6. Where nobody keeps anything, that is what it does.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sd_notify::NotifyState;

use crate::pedestal::ProcessId;
use crate::{blocking, sys};

/// Who is told what to keep.
const SOCKET: &str = "NOTIFY_SOCKET";

static STORE: Mutex<Store> = Mutex::new(Store { received: BTreeMap::new(), known: BTreeSet::new() });

#[derive(Debug)]
struct Store {
    /// What was kept for this daemon, and nobody has asked for yet.
    received: BTreeMap<String, OwnedFd>,
    /// The names of all that is kept.
    known: BTreeSet<String>,
}

/// Takes what was kept for this daemon. To be called once, when it begins.
pub(crate) fn receive() {
    let fds = match sd_notify::listen_fds_with_names() {
        Ok(fds) => fds,
        Err(e) => return log::warn!("cannot take what systemd has kept: {e}"),
    };
    let mut store = store();
    for (fd, name) in fds {
        store.known.insert(name.clone());
        store.received.insert(name, sys::inherited(fd));
    }
}

/// Has a descriptor kept for the next daemon, which the process has under this number. Blocks. Without it, the next daemon
/// asks the process.
pub(crate) fn put(process: ProcessId, number: RawFd, fd: BorrowedFd<'_>) {
    if env::var_os(SOCKET).is_none() {
        return;
    }
    let name = name(process, number);
    match sd_notify::notify_with_fds(&[NotifyState::FdStore, NotifyState::FdName(&name)], &[fd]) {
        Ok(()) => drop(store().known.insert(name)),
        Err(e) => log::debug!("nobody keeps {name} for the next daemon: {e}"),
    }
}

/// What was kept for this daemon of the process's descriptor `number`.
pub(crate) fn take(process: ProcessId, number: RawFd) -> Option<OwnedFd> {
    store().received.remove(&name(process, number))
}

/// Has all that is kept of the process given up: whoever reads a console would else never come to its end.
pub(crate) fn forget(process: ProcessId) {
    let prefix = prefix(process);
    give_up(|name| name.starts_with(&prefix));
}

/// The same for what was kept and nobody has asked for.
pub(crate) fn forget_rest() {
    let rest = std::mem::take(&mut store().received);
    give_up(|name| rest.contains_key(name));
}

fn give_up(which: impl Fn(&str) -> bool) {
    let names: Vec<String> = {
        let mut store = store();
        let names = store.known.iter().filter(|name| which(name)).cloned().collect();
        store.known.retain(|name| !which(name));
        names
    };
    if names.is_empty() {
        return;
    }
    blocking::start(move || {
        for name in names {
            let told = sd_notify::notify(&[NotifyState::FdStoreRemove, NotifyState::FdName(&name)]);
            if let Err(e) = told {
                log::debug!("{name} may still be kept: {e}");
            }
        }
    });
}

/// systemd takes names without colons. No other process has this one, now or later.
fn name(process: ProcessId, number: RawFd) -> String {
    format!("{}{number}", prefix(process))
}

fn prefix(process: ProcessId) -> String {
    format!("{}-{}-", process.pid, process.start_time)
}

/// A panic while the lock was held leaves it whole.
fn store() -> MutexGuard<'static, Store> {
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}
