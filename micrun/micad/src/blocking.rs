//! Work that may block: files, process starts, sysfs. It runs on threads of its own, so that the reactor never waits.

use std::time::Duration;

use micrun_trace::Current;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most threads for such work, whose number the runtime is given.
pub const THREADS: usize = 16;
/// How long a thread without work stays, so that a daemon at rest has none.
pub const KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Copies of firmware. Each is as long as the firmware is large; two of them keep a disk busy.
pub(crate) static COPIES: Lane = Lane::new(2);
/// Starts of processes. A process that is to join a frozen cgroup waits there, and whoever starts it waits with it.
pub(crate) static LAUNCHES: Lane = Lane::new(4);
/// Transfers of a machine's state to and from files.
pub(crate) static TRANSFERS: Lane = Lane::new(4);
/// Looks at everything for whoever asks for metrics: a flood of requests takes one thread from other work.
pub(crate) static SCRAPES: Lane = Lane::new(1);

/// A kind of long work that may have only so many threads at a time, so that short work always finds one.
pub(crate) struct Lane(Semaphore);

/// The right to one thread of a lane.
pub(crate) struct Place {
    _permit: SemaphorePermit<'static>,
}

impl Lane {
    const fn new(places: usize) -> Self {
        Self(Semaphore::const_new(places))
    }

    /// Waits for a place.
    pub(crate) async fn place(&'static self) -> Place {
        match self.0.acquire().await {
            Ok(permit) => Place { _permit: permit },
            // The semaphore is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for a place and does `work` there.
    pub(crate) async fn run<T: Send + 'static>(
        &'static self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        self.place().await.run(work).await
    }
}

impl Place {
    /// Does `work`. The place is taken until it is done, even if nobody waits for that any more.
    pub(crate) async fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> T {
        run(move || {
            let _place = self;
            work()
        })
        .await
    }
}

/// Does `work` on another thread, in the caller's trace. It is done even if the caller stops waiting.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let current = Current::here();
    let work = move || {
        let _entered = current.enter();
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => match e.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and the caller with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// Does `work` on another thread, and nobody waits for it.
pub(crate) fn start(work: impl FnOnce() + Send + 'static) {
    drop(tokio::task::spawn_blocking(work));
}

/// Drops what it takes time to drop, on another thread: the kernel frees large memory page by page.
pub(crate) fn discard<T: Send + 'static>(value: T) {
    start(move || drop(value));
}
