//! Bytes of a console that the container does not get because they were not taken fast enough: its stderr says how many.

use std::convert::Infallible;
use std::time::Duration;

use crate::os::tty::Tty;
use crate::stdio::Sink;

/// At most one line in that time: a console that is always too fast must not fill a log with losses.
const PAUSE: Duration = Duration::from_secs(1);

/// The losses of one console.
pub(super) struct Losses<'a> {
    tty: &'a Tty,
    /// The container's, if it has one.
    stderr: Option<&'a Sink>,
    /// How many of them it knows.
    told: u64,
}

impl<'a> Losses<'a> {
    /// There are none yet.
    pub(super) fn new(tty: &'a Tty, stderr: Option<&'a Sink>) -> Self {
        Self { tty, stderr, told: 0 }
    }

    /// Tells of those that come. May be cancelled.
    pub(super) async fn watch(&mut self) -> Infallible {
        loop {
            self.tty.missed_more_than(self.told).await;
            self.tell();
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Tells of those that are not told yet, if somebody takes it now.
    pub(super) fn tell(&mut self) {
        let missed = self.tty.missed();
        let (Some(stderr), 1..) = (self.stderr, missed - self.told) else { return };
        let count = missed - self.told;
        let line = format!("micrun: {count} bytes of the console were lost: nobody took them fast enough\n");
        // So short a text goes into a pipe whole, or not at all.
        if stderr.try_write(line.as_bytes()).is_ok() {
            self.told = missed;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use libmica::attach::{Header, Kind};
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    use tokio::net::UnixStream;
    use tokio::net::unix::pipe;

    use super::*;
    use crate::os::attached::Attached;

    async fn show(broker: &mut UnixStream, tty: &Tty, position: u64) {
        let header = Header { kind: Kind::Data, length: 1, time: 0, position };
        broker.write_all(&[&header.encode()[..], b"x"].concat()).await.unwrap();
        assert_eq!(tty.read(&mut [0; 8]).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn each_loss_is_told_once() {
        let (ours, mut broker) = UnixStream::pair().unwrap();
        let tty = Tty::Attached(Attached::new(ours, Box::new(|_| Box::pin(async { None }))), "".into());
        let (stderr, said) = pipe::pipe().unwrap();
        let mut said = BufReader::new(said).lines();
        let mut losses = Losses::new(&tty, Some(&stderr));
        show(&mut broker, &tty, 0).await;
        show(&mut broker, &tty, 101).await;
        let line = tokio::select! {
            line = said.next_line() => line.unwrap().unwrap(),
            never = losses.watch() => match never {},
        };
        assert_eq!(line, "micrun: 100 bytes of the console were lost: nobody took them fast enough");
        losses.tell();
        show(&mut broker, &tty, 109).await;
        losses.tell();
        losses.tell();
        drop(stderr);
        assert!(said.next_line().await.unwrap().unwrap().starts_with("micrun: 7 bytes "));
        assert_eq!(said.next_line().await.unwrap(), None);
    }
}
