//! A console that comes over a connection, in frames: what has come is known by its position, so that nothing is lost when
//! the connection is, and the end is told.

use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use libmica::attach::{Chunk, Frames, Next};
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};

use super::lock::lock;

/// One read at most.
const BUFFER: usize = 16 << 10;

/// A connection to a console from the byte with this position on; `None` if there will be none any more.
pub(crate) type Dialled = Pin<Box<dyn Future<Output = Option<UnixStream>> + Send>>;

/// Makes another connection when one is lost.
pub(crate) type Dial = Box<dyn Fn(u64) -> Dialled + Send + Sync>;

/// An open console.
pub(crate) struct Attached {
    dial: Dial,
    state: Mutex<State>,
    /// There is another connection, or will be none any more.
    changed: Notify,
    /// Bytes that nobody gets any more, because they were not read in time.
    missed: watch::Sender<u64>,
}

struct State {
    /// `None` once there is none any more.
    stream: Option<Arc<UnixStream>>,
    /// It is of no use any more.
    broken: bool,
    frames: Frames,
    /// What has come and was not taken, and how much of it was.
    chunk: Option<(Chunk, usize)>,
    /// The position of the byte that comes next.
    position: u64,
}

impl Attached {
    /// That over this connection, from the first byte on.
    pub(crate) fn new(stream: UnixStream, dial: Dial) -> Self {
        let stream = Some(Arc::new(stream));
        let frames = Frames::default();
        let state = State { stream, broken: false, frames, chunk: None, position: 0 };
        Self { dial, state: Mutex::new(state), changed: Notify::new(), missed: watch::Sender::new(0) }
    }

    /// Waits until there may be output, or its end. May be cancelled.
    pub(crate) async fn readable(&self) {
        loop {
            let (stream, lost) = {
                let state = lock(&self.state);
                if state.chunk.is_some() {
                    return;
                }
                let Some(stream) = &state.stream else { return };
                (Arc::clone(stream), state.broken.then_some(state.position))
            };
            let Some(position) = lost else {
                // What is wrong shows when it is read.
                let _ = stream.readable().await;
                return;
            };
            let dialled = (self.dial)(position).await;
            {
                let mut state = lock(&self.state);
                (state.stream, state.broken) = (dialled.map(Arc::new), false);
                state.frames = Frames::default();
            }
            self.changed.notify_waiters();
        }
    }

    /// Takes what is there; 0 bytes at the end.
    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = lock(&self.state);
        loop {
            let taken = state.take(buffer);
            if taken > 0 {
                return Ok(taken);
            }
            match state.frames.next() {
                Next::Chunk(chunk) => {
                    let gap = state.receive(chunk);
                    self.missed.send_if_modified(|missed| {
                        *missed += gap;
                        gap > 0
                    });
                }
                Next::End(_) => {
                    state.stream = None;
                    return Ok(0);
                }
                Next::Malformed => return Err(ErrorKind::InvalidData.into()),
                Next::Incomplete => {
                    let Some(stream) = state.stream.clone() else { return Ok(0) };
                    let mut bytes = [0; BUFFER];
                    match stream.try_read(&mut bytes) {
                        Ok(count @ 1..) => state.frames.push(&bytes[..count]),
                        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(error),
                        // Whoever waits now connects anew.
                        Ok(_) | Err(_) => {
                            state.broken = true;
                            return Err(ErrorKind::WouldBlock.into());
                        }
                    }
                }
            }
        }
    }

    /// Types all of `bytes`, also when the connection is lost meanwhile.
    pub(crate) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let changed = self.changed.notified();
            let stream = lock(&self.state).stream.clone().ok_or(ErrorKind::BrokenPipe)?;
            stream.writable().await?;
            match stream.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => changed.await,
            }
        }
        Ok(())
    }

    /// How many bytes were lost because they were not read in time.
    pub(crate) fn missed(&self) -> u64 {
        *self.missed.borrow()
    }

    /// Waits until they are more than so many. May be cancelled.
    pub(crate) async fn missed_more_than(&self, count: u64) {
        // Cannot fail: `self` holds the sender.
        let _ = self.missed.subscribe().wait_for(|missed| *missed > count).await;
    }
}

impl State {
    /// Takes what has come; gives how many bytes before it are missing.
    fn receive(&mut self, chunk: Chunk) -> u64 {
        let gap = chunk.position.saturating_sub(self.position);
        self.position = chunk.position + chunk.bytes.len() as u64;
        self.chunk = Some((chunk, 0));
        gap
    }

    fn take(&mut self, buffer: &mut [u8]) -> usize {
        let Some((chunk, taken)) = &mut self.chunk else { return 0 };
        let rest = &chunk.bytes[*taken..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        *taken += count;
        if *taken == chunk.bytes.len() {
            self.chunk = None;
        }
        count
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("position", &lock(&self.state).position).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use libmica::attach::{Header, Kind};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn data(position: u64, text: &str) -> Vec<u8> {
        let length = u32::try_from(text.len()).unwrap();
        let header = Header { kind: Kind::Data, length, time: 0, position };
        [&header.encode()[..], text.as_bytes()].concat()
    }

    async fn read(console: &Attached, buffer: &mut [u8]) -> usize {
        loop {
            console.readable().await;
            match console.try_read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return result.unwrap(),
            }
        }
    }

    #[tokio::test]
    async fn a_lost_connection_is_followed_by_another_and_the_end_is_told() {
        let (ours, mut broker) = UnixStream::pair().unwrap();
        let (again, mut next) = UnixStream::pair().unwrap();
        let again = Mutex::new(Some(again));
        let dial = move |position| -> Dialled {
            assert_eq!(position, 5);
            let stream = again.lock().unwrap().take();
            Box::pin(async move { stream })
        };
        let console = Attached::new(ours, Box::new(dial));
        let mut buffer = [0; 3];
        broker.write_all(&data(0, "first")).await.unwrap();
        assert_eq!((read(&console, &mut buffer).await, &buffer), (3, b"fir"));
        console.write_all(b"in").await.unwrap();
        let mut typed = [0; 2];
        broker.read_exact(&mut typed).await.unwrap();
        assert_eq!(&typed, b"in");
        // Half a frame goes with the connection.
        broker.write_all(&data(5, "again")[..20]).await.unwrap();
        drop(broker);
        assert_eq!((read(&console, &mut buffer).await, &buffer[..2]), (2, &b"st"[..]));
        next.write_all(&data(7, "er")).await.unwrap();
        assert_eq!((read(&console, &mut buffer).await, &buffer[..2]), (2, &b"er"[..]));
        assert_eq!(console.missed(), 2);
        let end = Header { kind: Kind::End, length: 0, time: 0, position: 9 };
        next.write_all(&end.encode()).await.unwrap();
        assert_eq!(read(&console, &mut buffer).await, 0);
        assert!(console.write_all(b"late").await.is_err());
    }

    #[tokio::test]
    async fn a_console_that_is_gone_is_at_its_end() {
        let (ours, broker) = UnixStream::pair().unwrap();
        let console = Attached::new(ours, Box::new(|_| Box::pin(async { None })));
        drop(broker);
        assert_eq!(read(&console, &mut [0; 8]).await, 0);
    }
}
