//! Whether a client is there: whoever has the stdin FIFO open for writing. Before the first one has come, and without
//! a FIFO, nobody is.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

/// Whether a client is there.
#[derive(Debug)]
pub(crate) struct Presence(watch::Sender<bool>);

impl Presence {
    /// Nobody yet.
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Takes down what is the case.
    pub(crate) fn set(&self, present: bool) {
        self.0.send_if_modified(|before| std::mem::replace(before, present) != present);
    }

    /// Returns once nobody has been there for `time` without a break.
    pub(crate) async fn absent_for(&self, time: Duration) {
        let mut present = self.0.subscribe();
        loop {
            // Neither wait can fail: `self` holds the sender.
            let _ = present.wait_for(|present| !present).await;
            tokio::select! {
                _ = present.wait_for(|present| *present) => {}
                () = sleep(time) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::time::Instant;

    const TIME: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn the_time_runs_from_the_start_without_a_client() {
        let begin = Instant::now();
        Presence::new().absent_for(TIME).await;
        assert_eq!(begin.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_comes_back_starts_it_anew() {
        let presence = Arc::new(Presence::new());
        let begin = Instant::now();
        let client = Arc::clone(&presence);
        tokio::spawn(async move {
            for (at, present) in [(20, true), (100, false), (120, true), (200, false)] {
                tokio::time::sleep_until(begin + Duration::from_secs(at)).await;
                client.set(present);
            }
        });
        presence.absent_for(TIME).await;
        assert_eq!(begin.elapsed().as_secs(), 230);
    }
}
