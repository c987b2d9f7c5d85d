//! Writes to sysfs that take as long as the kernel takes: on a thread of their own, so that nobody waits.

use std::io;
use std::time::Duration;

use super::sysfs::{Remoteproc, State};

/// How long a state may stay undefined after a command. The kernel has changed it when the write returns.
const SETTLE_BOUND: Duration = Duration::from_secs(5);
const SETTLE_PAUSE: Duration = Duration::from_millis(2);

/// Runs `work` where it may block.
pub(super) async fn blocking<T: Send + 'static, E: From<io::Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(e) => Err(io::Error::other(e).into()),
    }
}

/// Writes `start` or `stop` to the remoteproc; gives the state that it has then.
pub(super) async fn write_state(remoteproc: &Remoteproc, command: &'static str) -> io::Result<State> {
    let writer = remoteproc.clone();
    blocking(move || writer.write("state", command)).await?;
    let settled = async {
        loop {
            if let Ok(Some(state)) = remoteproc.state() {
                return state;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    };
    let bounded = tokio::time::timeout(SETTLE_BOUND, settled).await;
    bounded.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the remoteproc is in no known state"))
}
