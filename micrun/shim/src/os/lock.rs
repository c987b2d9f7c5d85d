//! Locks that hold no half-made change.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`, also after a holder has panicked: no holder in this program leaves a value half changed, and a
/// shim that gives up over a poisoned lock would abandon running containers.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
