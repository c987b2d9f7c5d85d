//! Several things at the same time, a bounded number of them.

use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::error::{Error, Result};

/// Does `work` with each item, in at most `width` threads. After an error nothing new is begun; the first one
/// is told.
pub(super) fn each<T: Sync>(items: &[T], width: u8, work: impl Fn(&T) -> Result<()> + Sync) -> Result<()> {
    let queue = Mutex::new(items.iter());
    let failed: Mutex<Option<Error>> = Mutex::new(None);
    let next = || {
        let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_none().then(|| queue.lock().unwrap_or_else(PoisonError::into_inner).next()).flatten()
    };
    thread::scope(|scope| {
        for _ in 0..usize::from(width).min(items.len()) {
            scope.spawn(|| {
                while let Some(item) = next() {
                    if let Err(error) = work(item) {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}
