//! Listening to output that is relayed to somebody else.

use std::io;
use std::sync::Mutex;

use tokio::sync::{mpsc, watch};

use super::search::Search;
use super::source::Source;
use crate::os::lock::lock;

/// Reads that may wait for a listener before the source waits, too.
const READS: usize = 16;

/// Whoever listens to one source.
#[derive(Debug)]
pub(crate) struct Tap {
    /// Whether anything has come.
    heard: watch::Sender<bool>,
    /// Whether the awaited text has come.
    found: watch::Sender<bool>,
    /// The search for it, until it has come.
    search: Mutex<Option<Search>>,
    /// Who gets a copy of everything.
    listener: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
}

impl Tap {
    /// Nobody listens yet; `awaited` is a text to look for.
    pub(crate) fn new(awaited: Option<&str>) -> Self {
        Self {
            heard: watch::Sender::new(false),
            found: watch::Sender::new(false),
            search: Mutex::new(awaited.map(Search::new)),
            listener: Mutex::default(),
        }
    }

    /// Waits for the first byte.
    pub(crate) async fn heard(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.heard.subscribe().wait_for(|heard| *heard).await;
    }

    /// Waits for the awaited text.
    pub(crate) async fn found(&self) {
        let _ = self.found.subscribe().wait_for(|found| *found).await;
    }

    /// A copy of all that comes from now on, instead of whoever listened before. As long as it is not read, the
    /// source waits.
    pub(crate) fn listen(&self) -> mpsc::Receiver<Vec<u8>> {
        let (listener, copy) = mpsc::channel(READS);
        *lock(&self.listener) = Some(listener);
        copy
    }

    /// Waits until the listener, if there is one, has room for a read. May be cancelled.
    async fn room(&self) {
        let listener = lock(&self.listener).clone();
        if let Some(listener) = listener {
            // One that is gone needs no room.
            let _ = listener.reserve().await;
        }
    }

    fn take(&self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.heard.send_if_modified(|heard| !std::mem::replace(heard, true));
        let mut search = lock(&self.search);
        if search.as_mut().is_some_and(|search| search.take(bytes)) {
            *search = None;
            self.found.send_replace(true);
        }
        let mut listener = lock(&self.listener);
        // There is room, but at the very end, where nobody waits any more.
        if listener.as_ref().is_some_and(|listener| listener.try_send(bytes.to_vec()).is_err()) {
            *listener = None;
        }
    }
}

/// A source with its listeners.
pub(crate) struct Tapped<'a, S> {
    /// Where the bytes come from.
    pub source: &'a S,
    /// Who listens.
    pub tap: &'a Tap,
}

impl<S: Source> Source for Tapped<'_, S> {
    async fn readable(&self) {
        self.tap.room().await;
        self.source.readable().await;
    }

    fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.try_read(buffer)?;
        self.tap.take(&buffer[..count]);
        Ok(count)
    }

    fn tells_its_end(&self) -> bool {
        self.source.tells_its_end()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::unix::pipe::pipe;

    use super::*;

    #[tokio::test]
    async fn a_listener_gets_what_is_read_from_then_on() {
        let (mut input, source) = pipe().unwrap();
        let tap = Tap::new(Some("b"));
        let tapped = Tapped { source: &source, tap: &tap };
        let read = async || {
            tapped.readable().await;
            tapped.try_read(&mut [0; 8])
        };
        input.write_all(b"a").await.unwrap();
        assert_eq!(read().await.unwrap(), 1);
        tap.heard().await;
        let mut copy = tap.listen();
        input.write_all(b"b").await.unwrap();
        assert_eq!(read().await.unwrap(), 1);
        tap.found().await;
        assert_eq!(copy.recv().await.unwrap(), b"b");
        drop(copy);
        input.write_all(b"c").await.unwrap();
        assert_eq!(read().await.unwrap(), 1, "nobody is waited for");
    }
}
