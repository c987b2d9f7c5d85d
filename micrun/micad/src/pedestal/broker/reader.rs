//! A connection that is attached to a console, from the broker's side.

use std::os::fd::OwnedFd;

use libmica::attach::{Attach, From, Header, Kind, MAX_DATA, Mode};
use libmica::reply::SUCCESS;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::ring::Ring;

/// Who reads a console, and perhaps types there.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Reader {
    pub(super) socket: OwnedFd,
    mode: Mode,
    /// Whether it reads the run before.
    previous: bool,
    /// The position of the byte that it gets next.
    position: u64,
    /// Where the end is for it, if that is known.
    until: Option<u64>,
    /// What it could not take yet.
    waiting: Vec<u8>,
    /// It has been told the end.
    told_end: bool,
    /// It may still type.
    types: bool,
    /// It is to be dropped.
    done: bool,
}

impl Reader {
    /// A new one. `previous` is the ring of the run before.
    pub(super) fn new(socket: OwnedFd, attach: &Attach, ring: &Ring, previous: Option<&Ring>) -> Self {
        let from_previous = attach.from == From::Previous;
        let (position, until) = match (attach.from, previous) {
            (From::Start, _) => (ring.oldest(), None),
            (From::End, _) => (ring.head(), None),
            (From::Position(position), _) => (position.min(ring.head()), None),
            (From::Previous, Some(previous)) => (previous.oldest(), Some(previous.head())),
            (From::Previous, None) => (0, Some(0)),
        };
        let until = until.or((attach.mode == Mode::Dump).then(|| ring.head()));
        let types = matches!(attach.mode, Mode::Write | Mode::Hold);
        let waiting = SUCCESS.as_bytes().to_vec();
        let mode = attach.mode;
        Self {
            socket,
            mode,
            previous: from_previous,
            position,
            until,
            waiting,
            told_end: false,
            types,
            done: false,
        }
    }

    /// Whether the firmware must wait for it when it has a whole ring to read; and from where on it reads.
    pub(super) fn holds_from(&self) -> Option<u64> {
        (self.mode == Mode::Hold && !self.previous && !self.done).then_some(self.position)
    }

    /// Whether it waits until it can take more.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether it may still type.
    pub(super) fn may_type(&self) -> bool {
        self.types
    }

    /// Whether it is to be dropped.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// It has hung up.
    pub(super) fn gone(&mut self) {
        self.done = true;
    }

    /// Takes what it has typed.
    pub(super) fn type_to(&mut self, buffer: &mut [u8]) -> usize {
        match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => self.types = false,
            Ok((count, _)) if self.types => return count.min(buffer.len()),
            // It was said that it only reads.
            Ok(_) | Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(_) => self.done = true,
        }
        0
    }

    /// Gives it what it can take; `over` says that nothing comes behind what the ring has. Gives the bytes that it has missed.
    pub(super) fn flush(
        &mut self,
        ring: &Ring,
        previous: Option<&Ring>,
        over: bool,
        frame: &mut Vec<u8>,
    ) -> u64 {
        let mut missed = 0;
        let ring = previous.filter(|_| self.previous).unwrap_or(ring);
        while !self.done {
            if self.waiting.is_empty() {
                if self.told_end {
                    self.done = true;
                    break;
                }
                missed += ring.oldest().saturating_sub(self.position);
                self.position = self.position.max(ring.oldest());
                if !self.fill(ring, over, frame) {
                    break;
                }
                if !self.send(frame) {
                    break;
                }
            } else {
                let waiting = std::mem::take(&mut self.waiting);
                if !self.send(&waiting) {
                    break;
                }
            }
        }
        missed
    }

    /// Makes the next frame; false if there is none yet.
    fn fill(&mut self, ring: &Ring, over: bool, frame: &mut Vec<u8>) -> bool {
        frame.clear();
        let end = self.until.unwrap_or(ring.head()).min(ring.head());
        if self.position >= end {
            if !over && self.until.is_none() {
                return false;
            }
            let header = Header { kind: Kind::End, length: 0, time: 0, position: self.position };
            frame.extend(header.encode());
            self.told_end = true;
            return true;
        }
        let (time, until) = ring.when(self.position);
        let length = (end.min(until) - self.position).min(MAX_DATA as u64);
        let header = Header {
            kind: Kind::Data,
            length: u32::try_from(length).unwrap_or(0),
            time,
            position: self.position,
        };
        frame.extend(header.encode());
        let begin = frame.len();
        frame.resize(begin + usize::try_from(length).unwrap_or(0), 0);
        ring.read(self.position, &mut frame[begin..]);
        self.position += length;
        true
    }

    /// Sends bytes; what it does not take waits. False if that is something, or it is gone.
    fn send(&mut self, bytes: &[u8]) -> bool {
        let mut sent = 0;
        while sent < bytes.len() {
            match rustix::net::send(&self.socket, &bytes[sent..], SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => sent += count,
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) => {
                    self.waiting = bytes[sent..].to_vec();
                    return false;
                }
                Err(_) => {
                    self.done = true;
                    return false;
                }
            }
        }
        true
    }
}
