//! gzip in members of one size, compressed by several threads (RFC 1952, 2.2: a file may have any number of members).
//!
//! Members do not depend on each other, so the bytes are the same for any number of threads. libdeflate takes half of
//! zlib's time at the same ratio, but wants its input in one piece: that piece is the member, and memory stays
//! what a few members take.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::mem;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use libdeflater::{CompressionLvl, Compressor};

/// The bytes of a member before compression. What it knows nothing of, the 32 KiB before it, costs 1 in 1000.
const MEMBER: usize = 2 << 20;
/// Firmware becomes a little smaller than by `gzip -6`; by the next lower level, 1 in 100 larger.
const LEVEL: i32 = 5;
const MOST_WORKERS: usize = 4;

/// Compresses what is written to it.
pub(crate) struct Gzip<W> {
    out: W,
    /// The member that is being filled.
    member: Member,
    workers: Vec<Worker>,
    /// Members that were handed over, by the worker that has each.
    pending: VecDeque<usize>,
    /// The worker whose turn it is.
    next: usize,
    most_workers: usize,
    /// Members that were written, for their memory.
    spare: Vec<Member>,
}

/// A piece of the content, and what it becomes. Its memory is used again: the kernel clears new memory, byte by byte.
#[derive(Default)]
struct Member {
    content: Vec<u8>,
    compressed: Vec<u8>,
    /// How much of `compressed` counts.
    size: usize,
}

/// A thread that compresses one member after the other. It ends when its end of the channel is dropped.
struct Worker {
    members: SyncSender<Member>,
    done: Receiver<io::Result<Member>>,
}

impl<W: Write> Gzip<W> {
    pub(crate) fn new(out: W) -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_workers(out, cores.min(MOST_WORKERS))
    }

    fn with_workers(out: W, most_workers: usize) -> Self {
        Self {
            out,
            member: Member::default(),
            workers: Vec::new(),
            pending: VecDeque::new(),
            next: 0,
            most_workers,
            spare: Vec::new(),
        }
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        while !self.pending.is_empty() {
            self.take()?;
        }
        // What is small, and the end, needs no thread. A file without content has a member, too.
        self.member.compress(&mut compressor()?)?;
        self.member.write(&mut self.out)?;
        Ok(self.out)
    }

    /// Hands the full member over. Each worker has at most two: the one it works at, and the next one.
    fn hand_over(&mut self) -> io::Result<()> {
        if self.pending.len() >= 2 * self.most_workers {
            self.take()?;
        }
        if self.workers.len() < self.most_workers && self.next == self.workers.len() {
            self.workers.push(Worker::start()?);
        }
        let member = mem::replace(&mut self.member, self.spare.pop().unwrap_or_default());
        self.member.content.clear();
        self.workers[self.next].members.send(member).map_err(|_| gone())?;
        self.pending.push_back(self.next);
        self.next = (self.next + 1) % self.most_workers;
        Ok(())
    }

    /// Writes the oldest of the members that were handed over.
    fn take(&mut self) -> io::Result<()> {
        let Some(worker) = self.pending.pop_front() else { return Ok(()) };
        let member = self.workers[worker].done.recv().map_err(|_| gone())??;
        member.write(&mut self.out)?;
        self.spare.push(member);
        Ok(())
    }
}

impl Member {
    /// Compresses the content. The header has neither a name nor a time.
    fn compress(&mut self, compressor: &mut Compressor) -> io::Result<()> {
        let most = compressor.gzip_compress_bound(self.content.len());
        if self.compressed.len() < most {
            self.compressed.resize(most, 0);
        }
        self.size =
            compressor.gzip_compress(&self.content, &mut self.compressed).map_err(io::Error::other)?;
        Ok(())
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(&self.compressed[..self.size])
    }
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (members, todo) = sync_channel::<Member>(1);
        let (finished, done) = sync_channel(1);
        let mut compressor = compressor()?;
        thread::Builder::new().name("gzip".to_owned()).spawn(move || {
            for mut member in todo {
                let compressed = member.compress(&mut compressor).map(|()| member);
                if finished.send(compressed).is_err() {
                    // Nobody wants the rest.
                    return;
                }
            }
        })?;
        Ok(Self { members, done })
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread that compresses has ended")
}

fn compressor() -> io::Result<Compressor> {
    let level = CompressionLvl::new(LEVEL).map_err(|_| io::Error::other("libdeflate has no such level"))?;
    Ok(Compressor::new(level))
}

impl<W: Write> Write for Gzip<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.member.content.len() == MEMBER {
            self.hand_over()?;
        }
        let taken = bytes.len().min(MEMBER - self.member.content.len());
        self.member.content.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Nothing goes out before its member is full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::MultiGzDecoder;

    use super::*;

    /// Not alike, and neither random nor all zeros.
    fn content(size: usize) -> Vec<u8> {
        (0_u32..)
            .take(size)
            .map(|i| (i >> 5).wrapping_mul(2_654_435_761).to_be_bytes()[(i & 3) as usize])
            .collect()
    }

    fn compressed(content: &[u8], workers: usize, piece: usize) -> Vec<u8> {
        let mut gzip = Gzip::with_workers(Vec::new(), workers);
        content.chunks(piece).for_each(|bytes| gzip.write_all(bytes).unwrap());
        gzip.finish().unwrap()
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        for size in [0, 1, MEMBER - 1, MEMBER, MEMBER + 1, 7 * MEMBER + 12_345] {
            let content = content(size);
            let one = compressed(&content, 1, 4096);
            for (workers, piece) in [(2, 4096), (3, 1 << 17), (4, 5_000_011)] {
                assert!(compressed(&content, workers, piece) == one, "{size} bytes, {workers} threads");
            }
            let mut back = Vec::new();
            MultiGzDecoder::new(one.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == content, "{size} bytes");
        }
    }

    /// A disk that is full ends the program with an error, and not in a wait.
    #[test]
    fn an_error_of_the_output_comes_through() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut gzip = Gzip::with_workers(Full, 2);
        let written = gzip.write_all(&content(9 * MEMBER)).and_then(|()| gzip.finish().map(drop));
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
