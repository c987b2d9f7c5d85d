//! A conversation with QEMU's gdb stub, which reads and writes the memory of a machine that stands still. It blocks.
//!
//! It is the way that QEMU's translator knows of: what was translated from bytes that are written here is thrown away.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use micrun_firmware::digest::hex;

use crate::gdb_packet::{Message, Parser, packet, unhex};
use crate::{Error, Result};

/// Bytes of memory in one packet: every QEMU takes packets of 4096 digits.
const CHUNK: usize = 2000;
/// How long QEMU may take for an answer; it takes microseconds.
const BOUND: Duration = Duration::from_secs(2);
/// Most bytes for one answer. QEMU says that the machine stands still, and answers; nothing else.
const MOST: usize = 64 << 10;

/// The stub's other end.
pub(super) struct Stub {
    stream: UnixStream,
    parser: Parser,
}

impl Stub {
    /// Has it take physical addresses (QEMU's documentation, "Changing and reading physical memory").
    pub(super) fn greet(stream: UnixStream) -> Result<Self> {
        stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_write_timeout(Some(BOUND)))
            .map_err(|e| broken(&e))?;
        let mut stub = Self { stream, parser: Parser::default() };
        stub.command("Qqemu.PhyMemMode:1")?;
        Ok(stub)
    }

    /// The `size` bytes at `address`.
    pub(super) fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let (at, part) = (address + bytes.len() as u64, CHUNK.min(size - bytes.len()));
            let answer = self.ask(&format!("m{at:x},{part:x}"))?;
            match unhex(&answer) {
                Some(read) if read.len() == part => bytes.extend(read),
                _ => return Err(refused(&format!("read the memory at {at:#x}"), &answer)),
            }
        }
        Ok(bytes)
    }

    /// Writes `bytes` to `address`.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        for (part, at) in bytes.chunks(CHUNK).zip((address..).step_by(CHUNK)) {
            self.command(&format!("M{at:x},{:x}:{}", part.len(), hex(part)))?;
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Result<()> {
        match self.ask(command)?.as_str() {
            "OK" => Ok(()),
            answer => Err(refused(command.split(':').next().unwrap_or_default(), answer)),
        }
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        // Behind the receipt for the last answer, without which QEMU takes no packet.
        let sent = self.stream.write_all(format!("+{}", packet(request)).as_bytes());
        sent.map_err(|e| broken(&e))?;
        let (deadline, mut total) = (Instant::now() + BOUND, 0);
        let mut chunk = [0; 4096];
        while total < MOST {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late());
            }
            self.stream.set_read_timeout(Some(left)).map_err(|e| broken(&e))?;
            let read = match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Qmp("the gdb stub closed".to_owned())),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                other => other.map_err(|e| broken(&e))?,
            };
            total += read;
            // One question, one answer: nothing is behind it.
            if let Some(answer) = chunk[..read].iter().find_map(|byte| self.answer(*byte)) {
                return answer;
            }
        }
        Err(Error::Qmp("the gdb stub's answer does not end".to_owned()))
    }

    /// The answer that ends with this byte.
    fn answer(&mut self, byte: u8) -> Option<Result<String>> {
        match self.parser.take(byte)? {
            // That the machine stands still is known.
            Message::Packet(text) if text.starts_with(['T', 'S']) => None,
            Message::Packet(text) => Some(Ok(text)),
            Message::Damaged => Some(Err(Error::Qmp("the gdb stub's answer is damaged".to_owned()))),
            Message::Interrupt => None,
        }
    }
}

fn refused(request: &str, answer: &str) -> Error {
    let answer: String = answer.chars().take(16).collect();
    Error::Qmp(format!("the gdb stub answers {answer:?} to {request}"))
}

fn late() -> Error {
    Error::QmpTimeout("gdbserver")
}

fn broken(error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => late(),
        _ => Error::Qmp(format!("the gdb stub: {error}")),
    }
}
