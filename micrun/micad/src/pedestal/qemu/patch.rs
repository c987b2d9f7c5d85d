//! A warm patch: the memory of a machine that runs becomes that of another firmware, all of it or nothing.
//!
//! The machine stands still while QEMU's gdb stub, which is opened for that time alone, compares memory with what it must
//! be, writes, and reads back. docs/PATCH.md has the rules.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::time::{Duration, Instant};

use libmica::ext::PatchReport;
use libmica::names::JAILED_FIRMWARE;
use nix::fcntl::OFlag;
use serde_json::json;
use tokio::net::UnixStream;

use super::diagnosis::ask;
use super::emulator::Emulator;
use super::guest::QemuGuest;
use super::registers::Registers;
use super::stub::Stub;
use crate::blocking::COPIES;
use crate::error::system;
use crate::pedestal::patch::{Piece, Plan};
use crate::{Error, Result};

/// QEMU's name for the descriptor and for the device that it becomes.
const NAME: &str = "patch";
/// How long QEMU may take for a descriptor.
const BOUND: Duration = Duration::from_secs(2);

/// Has the memory of the machine be what `firmware` loads.
pub(super) async fn patch(guest: &mut QemuGuest, firmware: OwnedFd) -> Result<PatchReport> {
    if guest.saved.gdb.is_some() {
        return Err(refuse("the client was created for debugging, so its gdb stub is taken: use gdb"));
    }
    let (pid, applied) = (guest.emulator.process().id().pid, guest.saved.patch.clone());
    let plan = COPIES
        .run(move || Plan::make(&base(pid)?, applied.as_ref(), &File::from(firmware)))
        .await
        .map_err(refuse)?;
    let pause =
        if plan.pieces.is_empty() { Duration::ZERO } else { apply(&mut guest.emulator, &plan).await? };
    let report = PatchReport {
        firmware: plan.applied.firmware.to_string(),
        ranges: plan.pieces.len() as u64,
        bytes: plan.pieces.iter().map(|piece| piece.after.len() as u64).sum(),
        pause_usec: u64::try_from(pause.as_micros()).unwrap_or(u64::MAX),
    };
    guest.saved.patch = Some(plan.applied);
    guest.saved.exit_record = plan.exit_record;
    Ok(report)
}

fn refuse(problem: impl Into<String>) -> Error {
    Error::NotPatched { problem: problem.into() }
}

/// The firmware that the process was started with: a copy in its working directory, where only root can write.
fn base(pid: i32) -> Result<File, String> {
    let flags = (OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits();
    let path = format!("/proc/{pid}/cwd/{JAILED_FIRMWARE}");
    let unknown = |why: String| format!("what its machine was started with cannot be told: {why}");
    let file =
        File::options().read(true).custom_flags(flags).open(path).map_err(|e| unknown(e.to_string()))?;
    let found = file.metadata().map_err(|e| unknown(e.to_string()))?;
    if !found.is_file() || found.uid() != 0 {
        return Err(unknown("micad does not run as root".to_owned()));
    }
    Ok(file)
}

/// Writes the pieces of the plan; gives how long the machine stood still.
async fn apply(emulator: &mut Emulator, plan: &Plan) -> Result<Duration> {
    let cpus = emulator.command("query-cpus-fast", json!({})).await?.as_array().map_or(1, Vec::len);
    let stream = offer(emulator).await?;
    let began = Instant::now();
    let written = write_stopped(emulator, stream, cpus, &plan.pieces).await;
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

/// Gives QEMU one end of a connection, for its gdb stub to come.
async fn offer(emulator: &mut Emulator) -> Result<UnixStream> {
    let doing = "make a socket for QEMU's gdb stub";
    let (ours, its) = UnixStream::pair().map_err(system(doing))?;
    let its = its.into_std().map_err(system(doing))?;
    emulator.qmp()?.give(NAME, its.as_fd(), BOUND).await?;
    let address = json!({"type": "fd", "data": {"str": NAME}});
    let backend = json!({"type": "socket", "data": {"addr": address, "server": false}});
    emulator.command("chardev-add", json!({"id": NAME, "backend": backend})).await?;
    Ok(ours)
}

async fn write_stopped(
    emulator: &mut Emulator,
    stream: UnixStream,
    cpus: usize,
    pieces: &[Piece],
) -> Result<()> {
    emulator.pause().await?;
    for cpu in 0..cpus {
        let text = ask(emulator, &format!("info registers {cpu}")).await?;
        let pc = Registers::parse(&text)
            .ok_or_else(|| refuse(format!("processor {cpu} names no program counter")))?
            .pc;
        if let Some(piece) = pieces.iter().find(|piece| piece.holds(pc)) {
            return Err(refuse(format!(
                "processor {cpu} is executing at {pc:#x} what would change, {} bytes at {:#x}; try again",
                piece.after.len(),
                piece.address
            )));
        }
    }
    let answer = ask(emulator, &format!("gdbserver chardev:{NAME}")).await?;
    if !answer.contains("Waiting for gdb") {
        return Err(refuse(format!("QEMU does not open its gdb stub: {}", answer.trim())));
    }
    let mut stub = Stub::greet(stream).await?;
    check(&mut stub, pieces).await?;
    match write(&mut stub, pieces).await {
        Ok(()) => Ok(()),
        Err(problem) => Err(put_back(&mut stub, pieces, &problem).await),
    }
}

async fn check(stub: &mut Stub, pieces: &[Piece]) -> Result<()> {
    for Piece { address, before, .. } in pieces {
        if stub.read(*address, before.len()).await? != *before {
            return Err(refuse(format!(
                "the {} bytes at {address:#x} are not those of the firmware that was started: it has changed them, or \
                 is another one",
                before.len()
            )));
        }
    }
    Ok(())
}

async fn write(stub: &mut Stub, pieces: &[Piece]) -> Result<()> {
    for Piece { address, after, .. } in pieces {
        stub.write(*address, after).await?;
    }
    for Piece { address, after, .. } in pieces {
        if stub.read(*address, after.len()).await? != *after {
            return Err(refuse(format!("the memory at {address:#x} cannot be written")));
        }
    }
    Ok(())
}

/// Undoes what was written of a patch that failed; gives the error to report.
async fn put_back(stub: &mut Stub, pieces: &[Piece], problem: &Error) -> Error {
    let restored = async {
        for Piece { address, before, .. } in pieces {
            stub.write(*address, before).await?;
        }
        check(stub, pieces).await
    };
    let problem = problem.sentence();
    match restored.await {
        Ok(()) => refuse(problem),
        Err(error) => Error::HalfPatched { problem: format!("{problem}; {}", error.sentence()) },
    }
}
