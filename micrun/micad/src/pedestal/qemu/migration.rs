//! Checkpoints: QEMU's migration stream, to a file and back.
//!
//! QEMU sees a pipe only: it may not write large files ([`crate::sys`]), and what it is given is a descriptor, so its
//! user and its sandbox stay as they are. [`super::transfer`] moves the bytes between the pipe and the file.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libmica::ClientState;
use serde_json::{Value, json};

use super::emulator::Emulator;
use super::qmp::Qmp;
use super::transfer::{Destination, Source};
use crate::error::system;
use crate::pedestal::Cancel;
use crate::{Error, Result};

/// How long the state may take: a GiB in a few seconds, unless the disk is slow.
const BOUND: Duration = Duration::from_secs(120);
/// How long QEMU may take for a command of these.
const COMMAND_BOUND: Duration = Duration::from_secs(5);
/// Between two looks at a migration that is being cancelled.
const PAUSE: Duration = Duration::from_millis(2);
/// QEMU's own limit, 128 MiB a second, is for networks.
const BANDWIDTH: u64 = 1 << 36;
/// QEMU's name for the descriptor.
const NAME: &str = "state";

/// Writes the state of the machine to `to`. A machine that runs stands still meanwhile and then goes on, also if this is
/// cancelled.
pub(super) async fn save(emulator: &mut Emulator, to: OwnedFd, mut cancel: Cancel<'_>) -> Result<()> {
    let destination = tokio::select! {
        biased;
        () = &mut cancel => return Err(Error::Cancelled { doing: "saved" }),
        opened = Destination::open(to) => opened.map_err(system("write the machine's state"))?,
    };
    let running = emulator.state() == ClientState::Running;
    if running {
        emulator.pause().await?;
    }
    let saved = save_stopped(emulator, destination, cancel).await;
    // Also after a failure: nothing is wrong with the machine.
    let resumed = if running { emulator.resume().await } else { Ok(()) };
    saved.and(resumed)
}

async fn save_stopped(emulator: &mut Emulator, destination: Destination, cancel: Cancel<'_>) -> Result<()> {
    leave_postmigrate(emulator).await?;
    let qmp = emulator.qmp()?;
    prepare(qmp).await?;
    let (reader, writer) = pipe()?;
    qmp.give(NAME, writer.as_fd(), COMMAND_BOUND).await?;
    drop(writer);
    let moved = async {
        let written = async { destination.fill(reader).await.map_err(system("write the machine's state")) };
        let sent = async {
            match migrate(qmp, "migrate").await?.as_str() {
                "completed" => Ok(()),
                status => Err(failed("saved", reason(qmp, status).await?)),
            }
        };
        tokio::try_join!(written, sent).map(drop)
    };
    let moved = tokio::select! {
        biased;
        moved = moved => moved,
        () = cancel => Err(Error::Cancelled { doing: "saved" }),
        () = tokio::time::sleep(BOUND) => Err(failed("saved", format!("it takes longer than {BOUND:?}"))),
    };
    if moved.is_err() {
        // Nothing holds QEMU up: a pipe that nobody reads is closed by now.
        give_up(qmp).await?;
    }
    moved
}

/// Ends a migration that still goes on, so that the machine can run again.
async fn give_up(qmp: &mut Qmp) -> Result<()> {
    // Unless the migration has taken it.
    let _ = qmp.execute("closefd", json!({"fdname": NAME}), COMMAND_BOUND).await;
    qmp.execute("migrate_cancel", json!({}), COMMAND_BOUND).await?;
    let ended = async {
        loop {
            let answer = qmp.execute("query-migrate", json!({}), COMMAND_BOUND).await?;
            match answer.get("status").and_then(Value::as_str) {
                None | Some("none" | "completed" | "failed" | "cancelled") => return Ok(()),
                Some(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    };
    tokio::time::timeout(COMMAND_BOUND, ended).await.map_err(|_| Error::QmpTimeout("migrate_cancel"))?
}

/// After a migration QEMU takes its machine for one that runs elsewhere, and refuses another until it has run.
async fn leave_postmigrate(emulator: &mut Emulator) -> Result<()> {
    let status = emulator.command("query-status", json!({})).await?;
    if status.get("status").and_then(Value::as_str) == Some("postmigrate") {
        emulator.resume().await?;
        emulator.pause().await?;
    }
    Ok(())
}

/// Reads the state into a machine that was started with `-incoming defer`. The machine is of no use if this fails or is
/// cancelled.
pub(super) async fn load(qmp: &mut Qmp, from: OwnedFd, cancel: Cancel<'_>) -> Result<()> {
    let loaded = async {
        let source = Source::open(from).await.map_err(system("read the machine's state"))?;
        prepare(qmp).await?;
        let (reader, writer) = pipe()?;
        qmp.give(NAME, reader.as_fd(), COMMAND_BOUND).await?;
        drop(reader);
        // QEMU judges what it gets, and stops reading when it has seen the end.
        let fed = async {
            let _ = source.drain(writer).await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            status = migrate(qmp, "migrate-incoming") => status,
            never = fed => match never {},
        }
    };
    let status = tokio::select! {
        biased;
        status = loaded => status?,
        () = cancel => return Err(Error::Cancelled { doing: "restored" }),
        () = tokio::time::sleep(BOUND) => {
            return Err(failed("restored", format!("it takes longer than {BOUND:?}")));
        }
    };
    if status == "completed" { Ok(()) } else { Err(failed("restored", status)) }
}

/// Runs a migration to its end, and says to which.
async fn migrate(qmp: &mut Qmp, command: &'static str) -> Result<String> {
    qmp.forget_migration();
    qmp.execute(command, json!({"uri": format!("fd:{NAME}")}), COMMAND_BOUND).await?;
    qmp.migrated().await
}

async fn prepare(qmp: &mut Qmp) -> Result<()> {
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    qmp.execute("migrate-set-capabilities", events, COMMAND_BOUND).await?;
    qmp.execute("migrate-set-parameters", json!({"max-bandwidth": BANDWIDTH}), COMMAND_BOUND).await?;
    Ok(())
}

fn pipe() -> Result<(io::PipeReader, io::PipeWriter)> {
    io::pipe().map_err(system("make a pipe for the machine's state"))
}

/// Why a migration has come to that end, in QEMU's words.
async fn reason(qmp: &mut Qmp, status: &str) -> Result<String> {
    let answer = qmp.execute("query-migrate", json!({}), COMMAND_BOUND).await?;
    Ok(answer.get("error-desc").and_then(Value::as_str).unwrap_or(status).to_owned())
}

fn failed(doing: &'static str, problem: String) -> Error {
    Error::Migration { doing, problem }
}
