//! Taking over a QEMU of an earlier daemon.

use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::emulator::Emulator;
use super::guest::{QemuGuest, Saved};
use super::pulse::Vitals;
use super::qmp::Qmp;
use super::{log_file, qmp_socket, record};
use crate::pedestal::ClientSpec;
use crate::pedestal::console::Console;
use crate::pedestal::process::Process;
use crate::{Error, Result, blocking};

/// How long a QEMU of an earlier daemon may take for its QMP handshake. It may only just have been started.
const SWEEP_BOUND: Duration = Duration::from_secs(20);
/// How long the kernel may take to end it.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// Takes over the QEMU that `saved` describes.
pub(super) async fn adopt(spec: &ClientSpec, saved: &serde_json::Value) -> Result<QemuGuest> {
    let saved: Saved = serde_json::from_value(saved.clone())
        .map_err(|e| Error::Config { path: spec.dir.join("state.json"), problem: e.to_string() })?;
    let owned = spec.clone();
    let mut guest = blocking::run(move || attach(&owned, saved)).await?;
    // A QEMU whose firmware waits for a reader of its console does not answer, but it runs and can be stopped; it is
    // asked again later.
    if let Err(e) = guest.emulator.reconnect().await {
        log::warn!(client = spec.name(); "{}: {}", spec.name(), e.sentence());
    }
    log::debug!(client = spec.name(); "{}: taken over in state {}", spec.name(), guest.emulator.state());
    Ok(guest)
}

/// The process and its consoles.
fn attach(spec: &ClientSpec, saved: Saved) -> Result<QemuGuest> {
    let gone = || Error::System {
        doing: "take QEMU over",
        source: IoError::new(ErrorKind::NotFound, "it has ended"),
    };
    let process = Process::adopt(saved.process).ok_or_else(gone)?;
    let console = match Console::adopt(&process, saved.master, saved.slave, &spec.tty_link) {
        Ok(console) => console,
        Err(e) => {
            // A QEMU that cannot be controlled must not stay.
            process.kill();
            return Err(e);
        }
    };
    let shell = match (saved.shell, &spec.shell_link) {
        (Some((master, slave)), Some(link)) => Console::adopt(&process, master, slave, link)
            .inspect_err(
                |e| log::warn!(client = spec.name(); "{}: no second console: {}", spec.name(), e.sentence()),
            )
            .ok(),
        _ => None,
    };
    let emulator = Emulator::new(process, qmp_socket(&spec.dir), log_file(&spec.dir));
    Ok(QemuGuest { emulator, console: Some(console), shell, saved, _lease: None, vitals: Vitals::default() })
}

/// Ends a QEMU that an earlier daemon has left to this directory: the one that is recorded there, or whoever still listens
/// on the QMP socket. Gives whether there was one.
pub(super) async fn sweep(dir: &Path) -> bool {
    let path = record(dir);
    let known = blocking::run(move || std::fs::read(path).ok()).await;
    let known = known.and_then(|text| serde_json::from_slice(&text).ok());
    if let Some(process) = known.and_then(Process::adopt) {
        process.kill();
        return process.ended_within(KILL_BOUND).await;
    }
    // A daemon that was killed may have started it and not have recorded it any more.
    let greeted = tokio::time::timeout(SWEEP_BOUND, Qmp::connect(&qmp_socket(dir))).await;
    let Ok(Ok(mut qmp)) = greeted else { return false };
    // It may close the socket instead of answering.
    let _ = qmp.execute("quit", json!({}), SWEEP_BOUND).await;
    true
}
