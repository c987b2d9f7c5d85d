//! How many QEMUs come up at the same time.
//!
//! To come up is 60 ms of work for a processor. Twenty that share two processors would all be there after 600 ms; one
//! after the other, the first is there after 60 ms and the last no later.

use std::convert::Infallible;
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// How long a start that hangs may keep others from beginning.
const BOUND: Duration = Duration::from_secs(1);

/// The turns of all clients: one for each processor.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

/// The right to come up. It ends with this value, or after [`BOUND`].
pub(super) struct Turn {
    _end: oneshot::Sender<Infallible>,
}

impl Turns {
    pub(super) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(processors)))
    }

    /// Waits for a turn.
    pub(super) async fn take(&self) -> Turn {
        match Arc::clone(&self.0).acquire_owned().await {
            Ok(permit) => Turn::with(permit),
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// A turn, if one is free.
    pub(super) fn try_take(&self) -> Option<Turn> {
        Arc::clone(&self.0).try_acquire_owned().ok().map(Turn::with)
    }
}

impl Turn {
    fn with(permit: OwnedSemaphorePermit) -> Self {
        let (end, ended) = oneshot::channel();
        tokio::spawn(async move {
            // Both ways to end it are errors here, and neither matters.
            let _ = tokio::time::timeout(BOUND, ended).await;
            drop(permit);
        });
        Self { _end: end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_turn_ends_with_its_value_or_in_time() {
        let turns = Turns(Arc::new(Semaphore::new(1)));
        drop(turns.take().await);
        let hanging = turns.take().await;
        let begun = tokio::time::Instant::now();
        drop(turns.take().await);
        assert!(begun.elapsed() >= BOUND);
        drop(hanging);
    }
}
