//! A scope of systemd (`systemd.scope(5)`) around an emulator's cgroup, where `linux.cgroupsPath` asks for systemd.
//!
//! In version 2 a cgroup's manager decides which controllers its children have. systemd takes away what none of its
//! units wants: a directory that it does not know loses its limits, without a word, at the next change of the slice.
//! What it has delegated it leaves alone (`CGROUP_DELEGATION` of its documentation), but for the scope itself: so the
//! emulator's cgroup, with its limits, lies inside. A scope ends with its last process; a holder beside the emulator
//! keeps it from the container's creation to its removal.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::path::Unit;
use crate::error::{Error, Result};
use crate::os::children::{self, Owned};

/// There when systemd is the machine's service manager (`sd_booted(3)`).
const BOOTED: &str = "/run/systemd/system";
/// What `systemctl status` shows.
const DESCRIPTION: &str = "RTOS container of micrun";
/// Says that it holds, and stays until the shim lets go or is gone.
const HOLD: &str = "echo holding && exec cat >/dev/null";
const HOLDING: &str = "holding\n";

/// A unit, whether it is there or not.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    unit: Unit,
    /// While it is there because of this shim.
    holder: Option<Arc<Holder>>,
}

/// The process that keeps the scope while it has a standard input.
#[derive(Debug)]
struct Holder {
    _child: Child,
    _owned: Owned,
}

/// Whether systemd manages this machine.
pub(super) fn booted() -> bool {
    Path::new(BOOTED).exists()
}

impl Scope {
    pub(super) fn new(unit: Unit) -> Self {
        Self { unit, holder: None }
    }

    /// Has systemd make it; gives the holder's process id.
    pub(super) async fn start(&mut self) -> Result<u32> {
        let failed = |reason| Error::Scope { unit: self.unit.name.clone(), reason };
        let hold = children::hold();
        let mut command = Command::new("systemd-run");
        command
            .args(["--scope", "--quiet", "--collect", "--property", "Delegate=yes"])
            .args(["--unit", &self.unit.name, "--slice", &self.unit.slice, "--description", DESCRIPTION])
            .args(["--", "sh", "-c", HOLD])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("run", "systemd-run"))?;
        let owned = child.id().map(children::own);
        drop(hold);
        let mut said = String::new();
        if let Some(stdout) = &mut child.stdout {
            stdout.read_to_string(&mut said).await.map_err(Error::io("read from", "systemd-run"))?;
        }
        if let (Some(pid), Some(owned), HOLDING) = (child.id(), owned, said.as_str()) {
            self.holder = Some(Arc::new(Holder { _child: child, _owned: owned }));
            return Ok(pid);
        }
        let output = child.wait_with_output().await.map_err(Error::io("wait for", "systemd-run"))?;
        Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Ends it with all that is in it, and waits until it is gone. One that is not there is no error.
    pub(super) async fn stop(&self) {
        let _hold = children::hold();
        let mut command = Command::new("systemctl");
        command
            .args(["--quiet", "stop", "--", &self.unit.name])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        match command.status().await {
            Ok(status) => log::debug!("systemctl stop {}: {status}", self.unit.name),
            Err(error) => log::warn!("cannot run systemctl to stop {}: {error}", self.unit.name),
        }
    }
}
