//! A terminal of the firmware's, as its readers see it: a pty, and a process that carries the bytes between it
//! and the kernel's rpmsg terminal ([`super::carry`]).
//!
//! The rpmsg terminal itself would not do for readers. It has no flow control: a write fails with ENOMEM when
//! the firmware's eight buffers are full. And it vanishes with the firmware, with everything that nobody had
//! read: firmware that prints and exits would have no output.
//!
//! The process does not depend on the daemon's life; the next daemon takes the pty back from it.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;

use libmica::Service;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use crate::error::{file, system};
use crate::pedestal::console::Console;
use crate::pedestal::process::{Process, ProcessId};
use crate::{Result, sys};

/// This program, even if its file has been replaced since.
const SELF: &str = "/proc/self/exe";

/// What a later daemon needs to take a terminal over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct SavedLine {
    name: String,
    device: String,
    link: PathBuf,
    carrier: ProcessId,
    master: i32,
    slave: i32,
}

/// One terminal.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    /// The rpmsg device that is carried, or was.
    device: String,
    console: Console,
    carrier: Process,
    /// The carrier begins when it is told so by this, and ends without a deed if it is not.
    held: Option<ChildStdin>,
}

impl Line {
    /// A new pty at `link` for the open terminal of `endpoint`. Nothing is carried before [`Self::begin`].
    pub(super) fn new(endpoint: &Endpoint, tty: &File, link: &Path, uid: Option<u32>) -> Result<Self> {
        let console = Console::open(link)?;
        match spawn(tty, &console, uid) {
            Ok((carrier, held)) => Ok(Self {
                name: endpoint.name.clone(),
                device: endpoint.device.clone(),
                console,
                carrier,
                held: Some(held),
            }),
            Err(e) => {
                console.close();
                Err(e)
            }
        }
    }

    /// The terminal that an earlier daemon has written down; `None` if its process has ended.
    pub(super) fn adopt(saved: &SavedLine) -> Option<Self> {
        let carrier = Process::adopt(saved.carrier)?;
        match Console::adopt(&carrier, saved.master, saved.slave, &saved.link) {
            Ok(console) => {
                let (name, device) = (saved.name.clone(), saved.device.clone());
                Some(Self { name, device, console, carrier, held: None })
            }
            Err(e) => {
                log::warn!("{}: {}", saved.link.display(), e.sentence());
                // A carrier that cannot be controlled must not keep the terminal.
                carrier.kill();
                None
            }
        }
    }

    /// What [`Self::adopt`] needs.
    pub(super) fn save(&self) -> SavedLine {
        let (master, slave) = self.console.numbers();
        SavedLine {
            name: self.name.clone(),
            device: self.device.clone(),
            link: self.console.link().to_owned(),
            carrier: self.carrier.id(),
            master,
            slave,
        }
    }

    /// Lets the bytes pass, once the terminal is written down: two carriers would share them.
    pub(super) fn begin(&mut self) {
        if let Some(mut held) = self.held.take()
            && let Err(e) = held.write_all(b"\n")
        {
            log::warn!("{}: the console's process has ended: {e}", self.device);
        }
    }

    /// Whether this is the endpoint's terminal.
    pub(super) fn carries(&self, endpoint: &Endpoint) -> bool {
        self.device == endpoint.device
    }

    /// Whether this is for endpoints of that name.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    /// Whether nothing is carried any more: the firmware has withdrawn the terminal or ended.
    pub(super) async fn is_over(&self) -> bool {
        self.carrier.ended_within(Duration::ZERO).await
    }

    /// Waits, no longer than `bound`, until everything that the firmware has written is in the pty.
    pub(super) async fn drained(&self, bound: Duration) -> bool {
        self.carrier.ended_within(bound).await
    }

    /// Carries another rpmsg terminal by the same pty, after the first [`Self::is_over`].
    pub(super) fn replace(&mut self, endpoint: &Endpoint, tty: &File, uid: Option<u32>) -> Result<()> {
        let (carrier, held) = spawn(tty, &self.console, uid)?;
        self.carrier.reap();
        self.carrier = carrier;
        self.held = Some(held);
        self.device.clone_from(&endpoint.device);
        Ok(())
    }

    /// The line in a status.
    pub(super) fn service(&self) -> Service {
        Service { name: self.name.clone(), device: Some(self.console.link().to_owned()) }
    }

    /// Ends the process and gives the pty up.
    pub(super) fn close(self) {
        let Self { console, carrier, held, .. } = self;
        drop(held);
        console.close();
        carrier.kill();
        tokio::spawn(async move {
            carrier.ended().await;
            carrier.reap();
        });
    }
}

/// Starts this program as a carrier ([`super::carry`]): without rights, without anything but the two terminals.
fn spawn(tty: &File, console: &Console, uid: Option<u32>) -> Result<(Process, ChildStdin)> {
    let (master, slave) = console.numbers();
    let tty = tty.as_raw_fd();
    let mut command = Command::new(SELF);
    command.arg(format!("--carry={tty},{master}")).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child =
        sys::spawn_confined(&mut command, uid, vec![tty, master, slave]).map_err(file("run", SELF))?;
    let held = child.stdin.take();
    match (Process::open(&child), held) {
        // From here on the process is watched and reaped by its pidfd; dropping `child` does neither.
        (Ok(process), Some(held)) => Ok((process, held)),
        (process, _) => {
            // The failures possible are those of a process that is gone.
            let _ = child.kill().and_then(|()| child.wait().map(drop));
            let missing = || std::io::Error::other("it has no standard input");
            Err(process.err().unwrap_or_else(|| system("start the console's process")(missing())))
        }
    }
}
