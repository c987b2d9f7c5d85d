//! Taking over a QEMU of an earlier daemon.

use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::emulator::Emulator;
use super::guest::{QemuGuest, Saved};
use super::port::{Home, Port, adopt_all};
use super::qmp::Qmp;
use super::{Qemu, log_file, qmp_socket, record};
use crate::pedestal::ClientSpec;
use crate::pedestal::process::Process;
use crate::{Error, Result, blocking};

/// How long a QEMU of an earlier daemon may take for its QMP handshake. It may only just have been started.
const SWEEP_BOUND: Duration = Duration::from_secs(20);
/// How long the kernel may take to end it.
const KILL_BOUND: Duration = Duration::from_secs(5);

/// Takes over the QEMU that `saved` describes.
pub(super) async fn adopt(
    pedestal: &Qemu,
    spec: &ClientSpec,
    saved: &serde_json::Value,
) -> Result<QemuGuest> {
    let saved: Saved = serde_json::from_value(saved.clone())
        .map_err(|e| Error::Config { path: spec.dir.join("state.json"), problem: e.to_string() })?;
    let home = pedestal.home(spec);
    let mut guest = blocking::run(move || attach(home, saved)).await?;
    // A QEMU whose firmware waits for a reader of its console, who would lose nothing, does not answer, but it runs and can
    // be stopped; it is asked again later.
    if let Err(e) = guest.emulator.reconnect().await {
        log::warn!(client = spec.name(); "{}: {}", spec.name(), e.sentence());
    }
    log::debug!(client = spec.name(); "{}: taken over in state {}", spec.name(), guest.emulator.state());
    Ok(guest)
}

/// Takes over the consoles of a run that has ended. `None` if none is left.
pub(super) async fn adopt_ended(
    pedestal: &Qemu,
    spec: &ClientSpec,
    saved: &serde_json::Value,
) -> Option<QemuGuest> {
    let saved: Saved = serde_json::from_value(saved.clone()).ok()?;
    let home = pedestal.home(spec);
    let guest = blocking::run(move || {
        let ports = adopt_all(&saved.ports, None, &home);
        ports.iter().for_each(Port::run_is_over);
        let process = Process::ended_one(saved.process);
        let emulator = Emulator::new(process, qmp_socket(&home.spec.dir), log_file(&home.spec.dir));
        QemuGuest::of(emulator, ports, home, saved, None)
    });
    Some(guest.await).filter(|guest| !guest.ports.is_empty())
}

/// The process and its ports.
fn attach(home: Home, saved: Saved) -> Result<QemuGuest> {
    let gone = || Error::System {
        doing: "take QEMU over",
        source: IoError::new(ErrorKind::NotFound, "it has ended"),
    };
    let process = Process::adopt(saved.process).ok_or_else(gone)?;
    // One that nobody has reaped yet has nothing any more.
    if let Some(port) = saved.ports.first() {
        process.fd(port.qemu.0).inspect_err(|_| process.kill())?;
    }
    let ports = adopt_all(&saved.ports, Some(&process), &home);
    if ports.is_empty() && !saved.ports.is_empty() {
        // A QEMU whose console nobody has would wait for a reader for ever.
        process.kill();
        return Err(Error::System {
            doing: "take QEMU's console over",
            source: IoError::new(ErrorKind::NotFound, "it has no port"),
        });
    }
    let emulator = Emulator::new(process, qmp_socket(&home.spec.dir), log_file(&home.spec.dir));
    let now: Vec<_> = ports.iter().map(Port::save).collect();
    let unwritten = now != saved.ports;
    let mut guest = QemuGuest::of(emulator, ports, home, Saved { ports: now, ..saved }, None);
    guest.unwritten = unwritten;
    Ok(guest)
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
