//! Work that can wait (for a disk, a file system, another process), away from the shim's one thread.
//!
//! The one thread carries the bytes of every console of the pod and answers every rpc, so it must never wait. What
//! touches a disk, the content of an image, a mount or a cgroup's membership runs here, on a few threads that exist
//! only while they have work: an idle shim is one thread.
//!
//! What stays on the one thread is bounded and costs microseconds: reading a small file of `/proc` or of a cgroup,
//! opening a FIFO or a terminal without waiting for its other end, and sending a signal.

use std::io;
use std::time::Duration;

use micrun_trace::Current;
use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result, describe};

/// The most threads at a time. More work waits for one of them.
const THREADS: usize = 4;
/// How long a thread without work stays. One Create has work for it several times in a row.
const KEEP_ALIVE: Duration = Duration::from_secs(1);
/// The stack of a thread, in bytes. The deepest user is the parser of `config.json`.
const STACK: usize = 512 << 10;

/// The runtime of a process of the shim: one thread, and this module's threads while there is work for them.
///
/// Its owner ends it with `shutdown_background`: to drop it is to wait for work that may never end.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .thread_keep_alive(KEEP_ALIVE)
        .thread_stack_size(STACK)
        .thread_name("blocking")
        .build()
}

/// Does `work` on a thread that may wait, in the caller's trace, and gives what it returns. [`Error::Task`] if it panics.
///
/// The work runs to its end even if nobody waits for it any more. It must not wait for other work of this kind,
/// which may be in line behind it.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let current = Current::here();
    let work = move || {
        let _entered = current.enter();
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(Error::from).flatten()
}

/// Drops, on a thread that may wait, what waits when it is dropped: a mount, a directory.
pub(crate) async fn discard<T: Send + 'static>(value: T) {
    let work = move || {
        drop(value);
        Ok(())
    };
    run(work).await.unwrap_or_else(|error| log::error!("{}", describe(&error)));
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    #[tokio::test]
    async fn the_one_thread_goes_on_meanwhile() {
        let (send, receive) = mpsc::channel();
        let work = tokio::spawn(run(move || Ok(receive.recv().unwrap())));
        // On the same thread, this would never be sent.
        tokio::task::yield_now().await;
        send.send(7).unwrap();
        assert_eq!(work.await.unwrap().unwrap(), 7);
    }

    #[tokio::test]
    async fn errors_and_panics_are_told_apart() {
        let failed = run(|| Err::<(), _>(Error::NoCgroups)).await;
        assert!(matches!(failed, Err(Error::NoCgroups)), "{failed:?}");
        let panicked = run(|| -> Result<()> { panic!("on purpose") }).await;
        assert!(matches!(panicked, Err(Error::Task(_))), "{panicked:?}");
    }

    #[test]
    fn there_are_never_more_threads_than_allowed() {
        let now = Arc::new(AtomicUsize::new(0));
        let most = runtime().unwrap().block_on(async {
            let works: Vec<_> = (0..8 * THREADS)
                .map(|_| {
                    let now = Arc::clone(&now);
                    tokio::spawn(run(move || {
                        let count = now.fetch_add(1, Ordering::SeqCst) + 1;
                        std::thread::yield_now();
                        now.fetch_sub(1, Ordering::SeqCst);
                        Ok(count)
                    }))
                })
                .collect();
            let mut most = 0;
            for work in works {
                most = most.max(work.await.unwrap().unwrap());
            }
            most
        });
        assert!((1..=THREADS).contains(&most), "{most}");
    }
}
