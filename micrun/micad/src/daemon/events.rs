//! What happens to clients, for those who watch.
//!
//! All readers share one ring of lines. Whoever is slower than the ring misses the oldest and is told how many: nothing
//! ever waits for a reader. Without readers there is no ring, and an event costs a number.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libmica::Reply;
use libmica::ext::{Event, Happening};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::timeout;

use super::connection::gone;
use crate::pedestal::now;

/// Events that are kept for a reader which is slow.
const RING: usize = 2048;
/// How long readers may take to be told of the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// The place where events are told.
pub(super) struct Events {
    /// When the numbers began.
    since: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Number of the last event.
    last: u64,
    /// There while somebody reads.
    ring: Option<Sender<Told>>,
    /// The daemon goes down.
    ended: bool,
}

/// An event on its way to readers.
#[derive(Debug, Clone)]
struct Told {
    seq: u64,
    line: Arc<str>,
    /// Nothing follows.
    ends: bool,
}

impl Events {
    /// No event yet.
    pub(super) fn new() -> Self {
        Self { since: now(), state: Mutex::default() }
    }

    /// Tells what happened. Never waits.
    pub(super) fn tell(&self, what: Happening) {
        let mut state = self.state();
        state.last += 1;
        let ends = what == Happening::Ending;
        state.ended |= ends;
        if state.ring.as_ref().is_some_and(|ring| ring.receiver_count() == 0) {
            state.ring = None;
        }
        if let Some(ring) = &state.ring {
            let told = Told { seq: state.last, line: line(state.last, what), ends };
            // The last reader may have gone away just now.
            let _ = ring.send(told);
        }
    }

    /// The line that begins a stream, and what will be told from now on.
    fn watch(&self) -> (Told, Receiver<Told>) {
        let mut state = self.state();
        let told = state.ring.get_or_insert_with(|| broadcast::channel(RING).0).subscribe();
        let opening = Happening::Watching { since: self.since.clone() };
        (Told { seq: state.last, line: line(state.last, opening), ends: state.ended }, told)
    }

    /// Sends a peer what happens from now on, until it goes away or the daemon ends.
    pub(super) async fn stream_to(&self, stream: &mut UnixStream) {
        let (opening, mut told) = self.watch();
        let (peer, mut out) = stream.split();
        let stream = async {
            let mut next = opening;
            loop {
                out.write_all(next.line.as_bytes()).await?;
                if next.ends {
                    return out.write_all(&Reply::success("").encode()).await;
                }
                next = match told.recv().await {
                    Ok(told) => told,
                    Err(RecvError::Lagged(count)) => {
                        let seq = next.seq + count;
                        Told { seq, line: line(seq, Happening::Missed { count }), ends: false }
                    }
                    // Only a ring without readers is given up.
                    Err(RecvError::Closed) => return Ok(()),
                };
            }
        };
        tokio::select! {
            written = stream => {
                if let Err(e) = written {
                    log::debug!("a reader of events went away: {e}");
                }
            }
            () = gone(peer.as_ref()) => {}
        }
    }

    /// Tells readers that the daemon goes down, and waits until they know it, or a moment.
    pub(super) async fn end(&self) {
        self.tell(Happening::Ending);
        let ring = self.state().ring.clone();
        if let Some(ring) = ring {
            // A reader that does not read learns it from its connection.
            let _ = timeout(FAREWELL, ring.closed()).await;
        }
    }

    /// A panic while the lock was held leaves it whole. It is never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An event as one line of the reply. As in every reply, its text has no marker.
fn line(seq: u64, what: Happening) -> Arc<str> {
    let event = Event { seq, at: now(), what };
    #[expect(clippy::expect_used, reason = "plain fields with text keys always serialise")]
    let text = serde_json::to_string(&event).expect("a document of plain fields");
    Reply::without_markers(&(text + "\n")).into()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader};

    use super::*;

    fn removed(number: usize) -> Happening {
        Happening::Removed { client: number.to_string() }
    }

    fn parse(line: &str) -> Event {
        serde_json::from_str(line).unwrap()
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_how_many_it_has_missed_and_numbers_have_no_gap() {
        let events = Arc::new(Events::new());
        events.tell(removed(0));
        let (here, mut there) = UnixStream::pair().unwrap();
        let streaming = tokio::spawn({
            let events = Arc::clone(&events);
            async move { events.stream_to(&mut there).await }
        });
        let mut lines = BufReader::new(here).lines();
        let opening = parse(&lines.next_line().await.unwrap().unwrap());
        assert!(matches!((opening.seq, opening.what), (1, Happening::Watching { .. })));
        // Without a pause: the reader's task has no turn meanwhile.
        for number in 1..=RING + 10 {
            events.tell(removed(number));
        }
        let end = tokio::spawn({
            let events = Arc::clone(&events);
            async move { events.end().await }
        });
        let mut seen = opening.seq;
        let (mut missed, mut told) = (0, 0);
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line == "MICA-SUCCESS" {
                break;
            }
            let event = parse(&line);
            if let Happening::Missed { count } = event.what {
                missed += count;
                seen += count;
            } else {
                told += 1;
                seen += 1;
            }
            assert_eq!(event.seq, seen, "{line}");
        }
        // With the end of the daemon, which is told before the reader has its first turn, or after it.
        assert_eq!(missed + told, RING as u64 + 11);
        assert!((10..=11).contains(&missed), "{missed} are missed");
        end.await.unwrap();
        streaming.await.unwrap();
    }

    #[tokio::test]
    async fn without_readers_there_is_no_ring() {
        let events = Events::new();
        events.tell(removed(1));
        assert!(events.state().ring.is_none());
        drop(events.watch());
        events.tell(removed(2));
        assert!(events.state().ring.is_none());
        assert_eq!(events.watch().0.seq, 2);
    }
}
