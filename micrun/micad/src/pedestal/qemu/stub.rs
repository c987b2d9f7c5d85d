//! A conversation with QEMU's gdb stub, which reads and writes the memory of a machine that stands still.
//!
//! It is the way that QEMU's translator knows of: what was translated from bytes that are written here is thrown away.
//! Nothing else has to know of the machine here, so `fuzz/` can compile the reader of packets by itself.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::{Error, Result};

/// Bytes of memory in one packet: every QEMU takes packets of 4096 digits.
const CHUNK: usize = 1024;
/// Longest packet that is read.
const MAX_PACKET: usize = 64 << 10;
/// How long QEMU may take for an answer; it takes microseconds.
const BOUND: Duration = Duration::from_secs(2);

/// The stub's other end.
pub(super) struct Stub {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Stub {
    /// Has it take physical addresses (QEMU's documentation, "Changing and reading physical memory").
    pub(super) async fn greet(stream: UnixStream) -> Result<Self> {
        let mut stub = Self { stream, received: Vec::new() };
        stub.command("Qqemu.PhyMemMode:1").await?;
        Ok(stub)
    }

    /// The `size` bytes at `address`.
    pub(super) async fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            let (at, part) = (address + bytes.len() as u64, CHUNK.min(size - bytes.len()));
            let answer = self.ask(&format!("m{at:x},{part:x}")).await?;
            match hex::decode(&answer) {
                Ok(read) if read.len() == part => bytes.extend(read),
                _ => return Err(refused(&format!("read the memory at {at:#x}"), &answer)),
            }
        }
        Ok(bytes)
    }

    /// Writes `bytes` to `address`.
    pub(super) async fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        for (part, at) in bytes.chunks(CHUNK).zip((address..).step_by(CHUNK)) {
            self.command(&format!("M{at:x},{:x}:{}", part.len(), hex::encode(part))).await?;
        }
        Ok(())
    }

    async fn command(&mut self, command: &str) -> Result<()> {
        match self.ask(command).await?.as_slice() {
            b"OK" => Ok(()),
            answer => Err(refused(command.split(':').next().unwrap_or_default(), answer)),
        }
    }

    async fn ask(&mut self, request: &str) -> Result<Vec<u8>> {
        let asked = async {
            self.stream.write_all(&packet(request)).await.map_err(|e| broken(&e))?;
            loop {
                if let Some(answer) = take_packet(&mut self.received) {
                    // That the machine stands still is known.
                    if !answer.starts_with(b"T") && !answer.starts_with(b"S") {
                        return Ok(answer);
                    }
                    continue;
                }
                if self.received.len() > MAX_PACKET {
                    return Err(Error::Qmp("the gdb stub's answer does not end".to_owned()));
                }
                if self.stream.read_buf(&mut self.received).await.map_err(|e| broken(&e))? == 0 {
                    return Err(Error::Qmp("the gdb stub closed".to_owned()));
                }
            }
        };
        tokio::time::timeout(BOUND, asked).await.map_err(|_| Error::QmpTimeout("gdbserver"))?
    }
}

/// A packet behind the receipt for the last answer, without which QEMU takes none.
fn packet(text: &str) -> Vec<u8> {
    let sum = text.bytes().fold(0_u8, u8::wrapping_add);
    format!("+${text}#{sum:02x}").into_bytes()
}

/// Takes the next whole packet out of what was received. The socket loses nothing, so the sum is not looked at.
fn take_packet(received: &mut Vec<u8>) -> Option<Vec<u8>> {
    let start = received.iter().position(|&byte| byte == b'$')? + 1;
    let end = start + received[start..].iter().position(|&byte| byte == b'#')?;
    // Two digits follow.
    if received.len() < end + 3 {
        return None;
    }
    let packet = received[start..end].to_vec();
    received.drain(..end + 3);
    Some(packet)
}

fn refused(request: &str, answer: &[u8]) -> Error {
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(16)]).into_owned();
    Error::Qmp(format!("the gdb stub answers {answer:?} to {request}"))
}

fn broken(error: &io::Error) -> Error {
    Error::Qmp(format!("the gdb stub: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_as_they_come_in_pieces() {
        assert_eq!(packet("m0,4"), b"+$m0,4#fd");
        let mut received = b"+$O".to_vec();
        assert_eq!(take_packet(&mut received), None);
        received.extend(b"K#9");
        assert_eq!(take_packet(&mut received), None);
        received.extend(b"a$E14#aa");
        assert_eq!(take_packet(&mut received).as_deref(), Some(&b"OK"[..]));
        assert_eq!(take_packet(&mut received).as_deref(), Some(&b"E14"[..]));
        assert_eq!(take_packet(&mut received), None);
    }
}
