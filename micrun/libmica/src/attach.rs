//! Extension: what goes over a connection that is attached to a console.
//!
//! The request is `attach STREAM FROM MODE`. After `MICA-SUCCESS` come frames: a [`Header`], and for [`Kind::Data`] so many
//! bytes of the console. What the peer writes is typed there, unless it has asked to read only.
//!
//! Bytes have positions: the first one of a run has 0. A frame that begins further on than the one before has ended tells
//! that the bytes in between are lost, because the peer read too slowly. A connection that ends without [`Kind::End`] has lost
//! its broker, not its console: attach again, from the position that comes next.

use std::fmt;
use std::str::FromStr;

/// Bytes of a [`Header`].
pub const HEADER: usize = 24;
/// Most bytes of the console in one frame.
pub const MAX_DATA: usize = 16 << 10;

/// Which console, where to begin, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attach {
    /// The name of a stream as a status has it, or its number there, from 0.
    pub stream: String,
    /// Where to begin.
    pub from: From,
    /// What for.
    pub mode: Mode,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the oldest byte that is kept.
    Start,
    /// At what comes from now on.
    End,
    /// At the oldest byte that is kept of the run before. It is for reading to its end alone.
    Previous,
    /// At the byte with this position, or the next one that is kept.
    Position(u64),
}

/// What for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// To read what is kept by now. The end comes after it.
    Dump,
    /// To read.
    Read,
    /// To read and type.
    Write,
    /// The same, and no byte may be lost: firmware waits while the peer has a whole ring to read.
    Hold,
}

impl Mode {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Dump, "dump"), (Self::Read, "ro"), (Self::Write, "rw"), (Self::Hold, "hold")];
}

impl FromStr for Mode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|(_, word)| *word == text).map(|(mode, _)| mode).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::ALL.iter().filter(|(mode, _)| mode == self).try_for_each(|(_, word)| f.write_str(word))
    }
}

impl FromStr for From {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            "previous" => Ok(Self::Previous),
            // `+1` is a number as well for Rust.
            _ if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map(Self::Position).map_err(drop)
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for From {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Previous => f.write_str("previous"),
            Self::Position(position) => write!(f, "{position}"),
        }
    }
}

/// The words behind `attach`.
impl FromStr for Attach {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<&str> = text.split(' ').collect();
        let [stream, from, mode] = words[..] else { return Err(()) };
        let stream = Some(stream).filter(|word| !word.is_empty()).ok_or(())?.to_owned();
        Ok(Self { stream, from: from.parse()?, mode: mode.parse()? })
    }
}

impl fmt::Display for Attach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.stream, self.from, self.mode)
    }
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Bytes of the console.
    Data,
    /// Nothing more comes: the run has ended, or what was asked for has.
    End,
}

/// The beginning of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: Kind,
    /// So many bytes follow.
    pub length: u32,
    /// When the first of them came, in nanoseconds since 1970.
    pub time: u64,
    /// The position of the first of them.
    pub position: u64,
}

impl Header {
    /// The bytes that go over the wire.
    pub fn encode(&self) -> [u8; HEADER] {
        let kind: u32 = match self.kind {
            Kind::Data => 1,
            Kind::End => 2,
        };
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.length.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.time.to_le_bytes());
        bytes[16..].copy_from_slice(&self.position.to_le_bytes());
        bytes
    }

    fn decode(bytes: [u8; HEADER]) -> Option<Self> {
        let [kind, length] = [0, 4].map(|at| u32::from_le_bytes(part(&bytes, at)));
        let [time, position] = [8, 16].map(|at| u64::from_le_bytes(part(&bytes, at)));
        let kind = match kind {
            1 if length as usize <= MAX_DATA => Kind::Data,
            2 if length == 0 => Kind::End,
            _ => return None,
        };
        Some(Self { kind, length, time, position })
    }
}

fn part<const N: usize>(bytes: &[u8; HEADER], at: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&bytes[at..at + N]);
    part
}

/// Bytes of a console.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// When the first of them came, in nanoseconds since 1970.
    pub time: u64,
    /// The position of the first of them.
    pub position: u64,
    /// They.
    pub bytes: Vec<u8>,
}

/// What is next of a stream of frames.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Bytes of the console.
    Chunk(Chunk),
    /// More is to be received first.
    Incomplete,
    /// Nothing more comes. The position is that of the byte that would have come next.
    End(u64),
    /// These are no frames.
    Malformed,
}

/// Takes a stream of frames apart.
#[derive(Debug, Default)]
pub struct Frames {
    received: Vec<u8>,
    /// So many bytes of it are taken already.
    taken: usize,
}

impl Frames {
    /// Adds what was received.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.taken == self.received.len() {
            self.received.clear();
        } else {
            self.received.drain(..self.taken);
        }
        self.taken = 0;
        self.received.extend_from_slice(bytes);
    }

    /// What is next.
    #[expect(clippy::should_implement_trait, reason = "an iterator has no word for what is incomplete")]
    pub fn next(&mut self) -> Next {
        let waiting = &self.received[self.taken..];
        let Some((head, rest)) = waiting.split_first_chunk::<HEADER>() else { return Next::Incomplete };
        let Some(header) = Header::decode(*head) else { return Next::Malformed };
        let Header { kind, length, time, position } = header;
        if kind == Kind::End {
            return Next::End(position);
        }
        let Some(bytes) = rest.get(..length as usize) else { return Next::Incomplete };
        let chunk = Chunk { time, position, bytes: bytes.to_vec() };
        self.taken += HEADER + length as usize;
        if self.taken == self.received.len() {
            (self.received, self.taken) = (Vec::new(), 0);
        }
        Next::Chunk(chunk)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn requests_are_read_as_they_are_written() {
        for text in ["0 start hold", "rpmsg-tty end ro", "1 previous dump", "0 1234 rw"] {
            assert_eq!(text.parse::<Attach>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0 start", " start ro", "0 begin ro", "0 +1 ro", "0 start ro now", "0 start x"]
        {
            assert!(text.parse::<Attach>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let header = |length, position| Header { kind: Kind::Data, length, time: 7, position };
        let end = Header { kind: Kind::End, length: 0, time: 0, position: 5 };
        let mut stream = [&header(3, 0).encode()[..], b"abc", &header(2, 3).encode(), b"de"].concat();
        stream.extend(end.encode());
        for step in [1, 2, 5, 23, 24, 25, 27, stream.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for part in stream.chunks(step) {
                frames.push(part);
                while let Next::Chunk(chunk) = frames.next() {
                    assert_eq!((chunk.time, chunk.position), (7, seen.len() as u64));
                    seen.extend(chunk.bytes);
                }
            }
            assert_eq!((seen.as_slice(), frames.next()), (&b"abcde"[..], Next::End(5)));
        }
    }

    #[test]
    fn what_is_no_frame_is_told() {
        let long = Header { kind: Kind::Data, length: u32::MAX, time: 0, position: 0 };
        for bytes in [[0xff; HEADER], long.encode()] {
            let mut frames = Frames::default();
            frames.push(&bytes);
            assert_eq!(frames.next(), Next::Malformed);
        }
    }
}
