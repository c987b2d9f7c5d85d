//! Taking over a QEMU of an earlier daemon.

use std::io::{Error as IoError, ErrorKind};
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::emulator::Emulator;
use super::guest::{QemuGuest, Saved};
use super::qmp::Qmp;
use super::{log_file, qmp_socket};
use crate::pedestal::ClientSpec;
use crate::pedestal::console::Console;
use crate::pedestal::process::Process;
use crate::{Error, Result, blocking};

/// How long a QEMU of an earlier daemon may take for its QMP handshake: it is up already.
const BOUND: Duration = Duration::from_secs(2);

/// Takes over the QEMU that `saved` describes.
pub(super) async fn adopt(spec: &ClientSpec, saved: &serde_json::Value) -> Result<QemuGuest> {
    let saved: Saved = serde_json::from_value(saved.clone())
        .map_err(|e| Error::Config { path: spec.dir.join("state.json"), problem: e.to_string() })?;
    let owned = spec.clone();
    let mut guest = blocking::run(move || attach(&owned, saved)).await?;
    // A QEMU whose firmware waits for a reader of its console does not answer, but it runs and can be stopped; it is
    // asked again later.
    if let Err(e) = guest.emulator.reconnect().await {
        log::warn!("{}: {}", spec.name(), e.sentence());
    }
    log::debug!("{}: taken over in state {}", spec.name(), guest.emulator.state());
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
            .inspect_err(|e| log::warn!("{}: no second console: {}", spec.name(), e.sentence()))
            .ok(),
        _ => None,
    };
    let emulator = Emulator::new(process, qmp_socket(&spec.dir), log_file(&spec.dir));
    Ok(QemuGuest { emulator, console: Some(console), shell, saved, _lease: None })
}

/// Ends a QEMU that nobody has written down: whoever still listens on the client's QMP socket is one.
pub(super) async fn sweep(spec: &ClientSpec) {
    if quit(&qmp_socket(&spec.dir)).await {
        log::warn!("{}: ended a QEMU that an earlier daemon left", spec.name());
    }
}

/// Has the QEMU end that listens there; whether there is one.
pub(super) async fn quit(socket: &Path) -> bool {
    let Ok(Ok(mut qmp)) = tokio::time::timeout(BOUND, Qmp::connect(socket)).await else { return false };
    // It may close the socket instead of answering.
    let _ = qmp.execute("quit", json!({}), BOUND).await;
    true
}
