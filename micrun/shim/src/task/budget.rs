//! What the containers of a shim need together. A pod's cgroup has one limit for all of them.

use std::sync::{Arc, Mutex};

use crate::os::lock::lock;

/// The memory that has been promised, in MiB.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget(Arc<Mutex<u64>>);

/// A part of it, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    megabytes: u64,
}

impl Budget {
    /// Promises so much, if it fits into `most` together with what others have; else gives what they have.
    pub(crate) fn take(&self, megabytes: u64, most: u64) -> Result<Share, u64> {
        let mut promised = lock(&self.0);
        if promised.saturating_add(megabytes) > most {
            return Err(*promised);
        }
        *promised += megabytes;
        Ok(Share { budget: self.clone(), megabytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *lock(&self.budget.0) -= self.megabytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_there_again() {
        let budget = Budget::default();
        let first = budget.take(100, 300).unwrap();
        let second = budget.take(200, 300).unwrap();
        assert_eq!(budget.take(1, 300).unwrap_err(), 300);
        drop(second);
        assert_eq!(budget.take(201, 300).unwrap_err(), 100);
        drop(first);
        budget.take(300, 300).unwrap();
    }
}
