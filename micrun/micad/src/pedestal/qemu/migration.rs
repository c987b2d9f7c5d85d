//! Checkpoints: QEMU's migration stream, to a file and back.
//!
//! QEMU sees a pipe only: it may not write large files ([`crate::sys`]), and what it is given is a descriptor, so its
//! user and its sandbox stay as they are. The bytes go between pipe and file here.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use libmica::ClientState;
use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_blocking};

use super::guest::QemuGuest;
use super::qmp::Qmp;
use crate::error::system;
use crate::pedestal::Guest;
use crate::{Error, Result};

/// How long the state may take: a GiB in a few seconds, unless the disk is slow.
const BOUND: Duration = Duration::from_mins(2);
/// How long QEMU may take for a command of these.
const COMMAND_BOUND: Duration = Duration::from_secs(5);
/// QEMU's own limit, 128 MiB a second, is for networks.
const BANDWIDTH: u64 = 1 << 36;
/// QEMU's name for the descriptor.
const NAME: &str = "state";

/// Writes the state of `guest` to `to`. A machine that runs stands still meanwhile and then goes on.
pub(super) async fn save(guest: &mut QemuGuest, to: OwnedFd) -> Result<()> {
    let running = guest.state() == ClientState::Running;
    if running {
        guest.pause().await?;
    }
    let saved = save_stopped(guest, to).await;
    // Also after a failure: nothing is wrong with the machine.
    let resumed = if running { guest.resume().await } else { Ok(()) };
    saved.and(resumed)
}

async fn save_stopped(guest: &mut QemuGuest, to: OwnedFd) -> Result<()> {
    leave_postmigrate(guest).await?;
    let qmp = guest.qmp()?;
    prepare(qmp).await?;
    let (reader, writer) = pipe()?;
    qmp.give(NAME, writer.as_fd(), COMMAND_BOUND).await?;
    drop(writer);
    let mut pump = pump_out(reader, to);
    let migrated = async {
        qmp.execute("migrate", json!({"uri": format!("fd:{NAME}")}), COMMAND_BOUND).await?;
        qmp.migrated().await
    };
    let Ok(status) = tokio::time::timeout(BOUND, migrated).await else {
        qmp.execute("migrate_cancel", json!({}), COMMAND_BOUND).await?;
        return Err(failed("saved", format!("it takes longer than {BOUND:?}")));
    };
    let status = status?;
    if status != "completed" {
        let problem = qmp.execute("query-migrate", json!({}), COMMAND_BOUND).await?;
        return Err(failed("saved", words(&problem, &status)));
    }
    match tokio::time::timeout(BOUND, &mut pump).await {
        Ok(Ok(written)) => written.map_err(system("write the machine's state")),
        Ok(Err(panic)) => Err(failed("saved", panic.to_string())),
        Err(_) => Err(failed("saved", "QEMU keeps its pipe open".to_owned())),
    }
}

/// After a migration QEMU takes its machine for one that runs elsewhere, and refuses another until it has run.
async fn leave_postmigrate(guest: &mut QemuGuest) -> Result<()> {
    let status = guest.command("query-status", json!({})).await?;
    if status.get("status").and_then(Value::as_str) == Some("postmigrate") {
        guest.resume().await?;
        guest.pause().await?;
    }
    Ok(())
}

/// Reads the state into a machine that was started with `-incoming defer`.
pub(super) async fn load(qmp: &mut Qmp, from: OwnedFd) -> Result<()> {
    prepare(qmp).await?;
    let (reader, writer) = pipe()?;
    qmp.give(NAME, reader.as_fd(), COMMAND_BOUND).await?;
    drop(reader);
    let pump = pump_in(from, writer);
    let migrated = async {
        qmp.execute("migrate-incoming", json!({"uri": format!("fd:{NAME}")}), COMMAND_BOUND).await?;
        qmp.migrated().await
    };
    let status = tokio::time::timeout(BOUND, migrated)
        .await
        .map_err(|_| failed("restored", format!("it takes longer than {BOUND:?}")))??;
    // It has nothing more to say: QEMU has closed its end, or everything was written.
    pump.abort();
    if status == "completed" { Ok(()) } else { Err(failed("restored", status)) }
}

async fn prepare(qmp: &mut Qmp) -> Result<()> {
    let events = json!({"capabilities": [{"capability": "events", "state": true}]});
    qmp.execute("migrate-set-capabilities", events, COMMAND_BOUND).await?;
    qmp.execute("migrate-set-parameters", json!({"max-bandwidth": BANDWIDTH}), COMMAND_BOUND).await?;
    Ok(())
}

fn pipe() -> Result<(PipeReader, PipeWriter)> {
    io::pipe().map_err(system("make a pipe for the machine's state"))
}

fn pump_out(mut from: PipeReader, to: OwnedFd) -> JoinHandle<io::Result<()>> {
    spawn_blocking(move || {
        let mut to = File::from(to);
        io::copy(&mut from, &mut to)?;
        match to.sync_data() {
            // What cannot be synchronised, a pipe say, is not to be kept either.
            Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => other,
        }
    })
}

fn pump_in(from: OwnedFd, mut to: PipeWriter) -> JoinHandle<()> {
    spawn_blocking(move || {
        // QEMU judges what it gets, and stops reading when it has seen the end.
        let _ = io::copy(&mut File::from(from), &mut to);
    })
}

fn words(answer: &Value, status: &str) -> String {
    answer.get("error-desc").and_then(Value::as_str).unwrap_or(status).to_owned()
}

fn failed(doing: &'static str, problem: String) -> Error {
    Error::Migration { doing, problem }
}
