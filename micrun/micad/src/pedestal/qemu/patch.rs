//! A warm patch: the memory of a machine that runs becomes that of another firmware, all of it or nothing.
//!
//! The machine stands still while QEMU's gdb stub, which is opened for that time alone, compares memory with what it must
//! be, writes, and reads back. What can be read in QEMU's own memory is read there. docs/PATCH.md has the rules.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libmica::ext::PatchReport;
use libmica::names::JAILED_FIRMWARE;
use micrun_firmware::memory_file;
use nix::fcntl::OFlag;
use serde_json::json;

use super::diagnosis::ask;
use super::emulator::Emulator;
use super::guest::QemuGuest;
use super::ram::Ram;
use super::registers::Registers;
use super::stub::Stub;
use crate::blocking::{self, COPIES};
use crate::error::system;
use crate::pedestal::patch::{Marker, Memory, Piece, Plan, refuse, rewrite};
use crate::{Error, Result};

/// QEMU's name for the descriptor and for the device that it becomes.
const NAME: &str = "patch";
/// How long QEMU may take for a descriptor.
const BOUND: Duration = Duration::from_secs(2);

/// The memory of a machine that stands still.
struct Stopped {
    stub: Stub,
    /// Where to read what is to change, if it is all in one memory. The stub is asked otherwise, which takes longer.
    ram: Option<Ram>,
}

impl Memory for Stopped {
    fn read(&mut self, address: u64, size: usize) -> Result<Vec<u8>> {
        match self.ram.and_then(|ram| ram.read(address, size).ok()) {
            Some(bytes) => Ok(bytes),
            None => self.stub.read(address, size),
        }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.stub.write(address, bytes)
    }
}

/// Has the memory of the machine be what `firmware` loads.
pub(super) async fn patch(guest: &mut QemuGuest, firmware: OwnedFd, marker: &Marker) -> Result<PatchReport> {
    if guest.saved.gdb.is_some() {
        return Err(refuse("the client was created for debugging, so its gdb stub is taken: use gdb"));
    }
    let (pid, applied) = (guest.emulator.process().id().pid, guest.saved.patch.clone());
    let plan = COPIES
        .run(move || Plan::make(&base(pid)?, applied.as_ref(), &File::from(firmware)))
        .await
        .map_err(refuse)?;
    let plan = Arc::new(plan);
    let pause = match plan.pieces.as_slice() {
        [] => Ok(Duration::ZERO),
        _ => apply(&mut guest.emulator, &plan, marker).await,
    };
    let report = pause.map(|pause| {
        guest.saved.patch = Some(plan.applied.clone());
        guest.saved.exit_record = plan.exit_record;
        plan.report(pause)
    });
    blocking::discard(plan);
    report
}

/// The firmware that the process was started with. It is a copy in its working directory, where only root can write, or
/// the sealed file that was handed to a machine that had waited.
fn base(pid: i32) -> Result<File, String> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let path = format!("/proc/{pid}/cwd/{JAILED_FIRMWARE}");
    let unknown = |why: String| format!("what its machine was started with cannot be told: {why}");
    let file = match File::options().read(true).custom_flags(flags).open(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => handed(pid).ok_or_else(|| unknown(e.to_string()))?,
        other => other.map_err(|e| unknown(e.to_string()))?,
    };
    let found = file.metadata().map_err(|e| unknown(e.to_string()))?;
    if !found.is_file() || found.uid() != 0 {
        return Err(unknown("micad does not run as root".to_owned()));
    }
    Ok(file)
}

/// The one memory file of the process that is root's and that nobody can change: QEMU cannot make such a file.
fn handed(pid: i32) -> Option<File> {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    open.filter(|fd| {
        std::fs::read_link(fd.path())
            .is_ok_and(|to| to.as_os_str().as_bytes().starts_with(b"/memfd:firmware"))
    })
    .filter_map(|fd| File::open(fd.path()).ok())
    .find(|file| memory_file::is_sealed(file) && file.metadata().is_ok_and(|found| found.uid() == 0))
}

/// Writes the pieces of the plan; gives how long the machine stood still.
async fn apply(emulator: &mut Emulator, plan: &Arc<Plan>, marker: &Marker) -> Result<Duration> {
    let cpus = emulator.command("query-cpus-fast", json!({})).await?.as_array().map_or(1, Vec::len);
    let ram = find(emulator, &plan.pieces).await;
    marker.set()?;
    let stream = offer(emulator).await?;
    let began = Instant::now();
    let written = write_stopped(emulator, stream, ram, cpus, plan).await;
    // Also after a failure: nothing has changed then. Half a firmware must not run.
    let resumed = match written {
        Err(Error::HalfPatched { .. }) => Ok(()),
        _ => emulator.resume().await,
    };
    let pause = began.elapsed();
    // With the stub goes its device, unless it was not opened.
    if ask(emulator, "gdbserver none").await.is_ok() {
        let _ = emulator.command("chardev-remove", json!({"id": NAME})).await;
    }
    written.and(resumed).map(|()| pause)
}

/// The memory from the first piece to the last, if that is one.
async fn find(emulator: &mut Emulator, pieces: &[Piece]) -> Option<Ram> {
    let (first, last) = (pieces.first()?, pieces.last()?);
    let size = (last.address + last.after.len() as u64).checked_sub(first.address)?;
    Ram::find(emulator, first.address, size).await.ok()
}

/// Gives QEMU one end of a connection, for its gdb stub to come.
async fn offer(emulator: &mut Emulator) -> Result<UnixStream> {
    let (ours, its) = UnixStream::pair().map_err(system("make a socket for QEMU's gdb stub"))?;
    emulator.qmp()?.give(NAME, its.as_fd(), BOUND).await?;
    let address = json!({"type": "fd", "data": {"str": NAME}});
    let backend = json!({"type": "socket", "data": {"addr": address, "server": false}});
    emulator.command("chardev-add", json!({"id": NAME, "backend": backend})).await?;
    Ok(ours)
}

async fn write_stopped(
    emulator: &mut Emulator,
    stream: UnixStream,
    ram: Option<Ram>,
    cpus: usize,
    plan: &Arc<Plan>,
) -> Result<()> {
    emulator.pause().await?;
    for cpu in 0..cpus {
        let text = ask(emulator, &format!("info registers {cpu}")).await?;
        let registers = Registers::parse(&text)
            .ok_or_else(|| refuse(format!("processor {cpu} names no program counter")))?;
        plan.check_pc(cpu, registers.pc)?;
    }
    let answer = ask(emulator, &format!("gdbserver chardev:{NAME}")).await?;
    if !answer.contains("Waiting for gdb") {
        return Err(refuse(format!("QEMU does not open its gdb stub: {}", answer.trim())));
    }
    let plan = Arc::clone(plan);
    blocking::run(move || rewrite(&mut Stopped { stub: Stub::greet(stream)?, ram }, &plan.pieces)).await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::thread::JoinHandle;

    use super::*;
    use crate::gdb_packet::{Message, Parser, packet, unhex};

    const START: u64 = 0x4000_0000;

    /// What the stub of a machine with sixteen bytes of memory does.
    struct Machine {
        memory: Vec<u8>,
        /// The answers to its writes, in their order; `OK` to those that come after.
        writes: &'static [&'static str],
    }

    impl Machine {
        fn answer(&mut self, text: &str) -> String {
            if text.starts_with('Q') {
                return "OK".to_owned();
            }
            let (range, data) = text[1..].split_once(':').unwrap_or((&text[1..], ""));
            let (address, size) = range.split_once(',').unwrap();
            let at = usize::try_from(u64::from_str_radix(address, 16).unwrap() - START).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            if text.starts_with('m') {
                return hex::encode(&self.memory[at..at + size]);
            }
            let said = self.writes.split_off_first().copied().unwrap_or("OK");
            if said == "OK" {
                self.memory[at..at + size].copy_from_slice(&unhex(data).unwrap());
            }
            // Real stubs take a write that does nothing, too: to a read-only memory.
            said.replace("ignored", "OK")
        }

        fn serve(mut self, mut stream: UnixStream) -> JoinHandle<Vec<u8>> {
            std::thread::spawn(move || {
                let (mut parser, mut byte) = (Parser::default(), [0]);
                while stream.read(&mut byte).unwrap() == 1 {
                    let Some(Message::Packet(text)) = parser.take(byte[0]) else { continue };
                    let answer = self.answer(&text);
                    stream.write_all(format!("+{}", packet(&answer)).as_bytes()).unwrap();
                }
                self.memory
            })
        }
    }

    /// What a patch of two pieces gives, and the memory afterwards.
    fn attempt(writes: &'static [&'static str]) -> (Result<()>, Vec<u8>) {
        attempt_upon(writes, b"ijkl")
    }

    /// The same where the second piece takes this for what is there.
    fn attempt_upon(writes: &'static [&'static str], second: &[u8]) -> (Result<()>, Vec<u8>) {
        let piece = |at: u64, before: &[u8], after: &[u8]| Piece {
            address: START + at,
            runs_at: START + at,
            before: before.into(),
            after: after.into(),
        };
        let pieces = [piece(0, b"abcd", b"ABCD"), piece(8, second, b"IJKL")];
        let (ours, its) = UnixStream::pair().unwrap();
        let machine = Machine { memory: b"abcdefghijklmnop".to_vec(), writes }.serve(its);
        let mut stopped = Stopped { stub: Stub::greet(ours).unwrap(), ram: None };
        let written = rewrite(&mut stopped, &pieces);
        drop(stopped);
        (written, machine.join().unwrap())
    }

    #[test]
    fn all_is_written_or_put_back() {
        let (written, memory) = attempt(&[]);
        assert!(written.is_ok() && memory == b"ABCDefghIJKLmnop");
        // The second write is refused, or does nothing.
        for (said, reason) in [("E14", "answers \"E14\" to M40000008,4"), ("ignored", "cannot be written")] {
            let writes: &[&str] = if said == "E14" { &["OK", "E14"] } else { &["OK", "ignored"] };
            let (written, memory) = attempt(writes);
            let error = written.unwrap_err();
            assert!(matches!(error, Error::NotPatched { .. }), "{error}");
            assert!(error.to_string().contains(reason), "{error}");
            assert_eq!(memory, b"abcdefghijklmnop");
        }
    }

    #[test]
    fn nothing_is_written_when_one_of_the_ranges_was_another_before() {
        let (written, memory) = attempt_upon(&[], b"iJkl");
        let error = written.unwrap_err();
        assert!(matches!(error, Error::NotPatched { .. }), "{error}");
        assert!(error.to_string().contains("the 4 bytes at 0x40000008 are not those"), "{error}");
        assert_eq!(memory, b"abcdefghijklmnop");
    }

    #[test]
    fn what_cannot_be_put_back_is_said() {
        let (written, memory) = attempt(&["OK", "E14", "E22"]);
        let error = written.unwrap_err();
        assert!(matches!(error, Error::HalfPatched { .. }), "{error}");
        assert!(error.to_string().contains("\"E14\"") && error.to_string().contains("\"E22\""), "{error}");
        assert_eq!(memory, b"ABCDefghijklmnop");
    }
}
