//! A terminal of the firmware's, as its readers see it: a pty, and a process that relays the bytes between it
//! and the kernel's rpmsg terminal ([`Relay`]).
//!
//! The rpmsg terminal itself would not do for readers. It has no flow control: a write fails with ENOMEM when
//! the firmware's eight buffers are full. And it vanishes with the firmware, with everything that nobody had
//! read: firmware that prints and exits would have no output.
//!
//! The process does not depend on the daemon's life; the next daemon takes the pty back from it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libmica::Service;
use serde::{Deserialize, Serialize};

use super::endpoint::Endpoint;
use super::relay::Relay;
use crate::Result;
use crate::jail::Tenant;
use crate::pedestal::ProcessId;
use crate::pedestal::console::Console;

/// What a later daemon needs to take a terminal over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedLine {
    name: String,
    device: Option<String>,
    link: PathBuf,
    /// The file's word for it since its version 1.
    #[serde(rename = "carrier")]
    relay: ProcessId,
    socket: i32,
    master: i32,
    slave: i32,
}

/// One terminal.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    /// The rpmsg device that is relayed, or was last; `None` as long as the firmware has announced nothing.
    device: Option<String>,
    console: Console,
    relay: Relay,
    /// The rpmsg terminal, until the relay has it.
    pending: Option<File>,
    /// Whether the relay knows that it is written down.
    kept: bool,
}

impl Line {
    /// A pty at `link` for endpoints of this name.
    pub(super) fn new(name: &str, link: &Path, tenant: Option<&Tenant>) -> Result<Self> {
        let console = Console::open(link)?;
        match Relay::spawn(&console, tenant) {
            Ok(relay) => {
                let name = name.to_owned();
                Ok(Self { name, device: None, console: console.shared(), relay, pending: None, kept: false })
            }
            Err(e) => {
                console.close();
                Err(e)
            }
        }
    }

    /// The terminal that an earlier daemon has written down; `None` if its process has ended.
    pub(super) fn adopt(saved: &SavedLine) -> Option<Self> {
        let Some(relay) = Relay::adopt(saved.relay, saved.socket) else {
            // It leads to a pty that has ended with that process.
            let _ = std::fs::remove_file(&saved.link);
            return None;
        };
        match Console::adopt(relay.process(), saved.master, saved.slave, &saved.link) {
            Ok(console) => {
                let (name, device) = (saved.name.clone(), saved.device.clone());
                Some(Self { name, device, console, relay, pending: None, kept: true })
            }
            Err(e) => {
                log::warn!("{}: {}", saved.link.display(), e.sentence());
                relay.end();
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
            relay: self.relay.process().id(),
            socket: self.relay.number(),
            master,
            slave,
        }
    }

    /// Whether this is the endpoint's terminal.
    pub(super) fn serves(&self, endpoint: &Endpoint) -> bool {
        self.device.as_ref() == Some(&endpoint.device)
    }

    /// Whether this is where that link leads.
    pub(super) fn is_at(&self, link: &Path) -> bool {
        self.console.link() == link
    }

    /// Whether the endpoint can have this line: it has the name, and what was relayed before is gone.
    pub(super) fn fits(&self, endpoint: &Endpoint) -> bool {
        self.name == endpoint.name && (self.device.is_none() || self.relay.is_done())
    }

    /// Takes the endpoint's open terminal: now, if the relay is written down, else by [`Self::begin`].
    pub(super) fn accept(&mut self, endpoint: &Endpoint, tty: File, tenant: Option<&Tenant>) -> Result<()> {
        if self.relay.is_dead() {
            let relay = Relay::spawn(&self.console, tenant)?;
            std::mem::replace(&mut self.relay, relay).end();
            self.kept = false;
        }
        self.device = Some(endpoint.device.clone());
        self.pending = Some(tty);
        if self.kept {
            self.begin();
        }
        Ok(())
    }

    /// Lets the bytes pass, once the line is written down: a later daemon must not start a second relay.
    pub(super) fn begin(&mut self) {
        let kept = if self.kept { Ok(()) } else { self.relay.keep() };
        self.kept |= kept.is_ok();
        let pending = self.pending.take();
        if let Err(e) = kept.and_then(|()| pending.map_or(Ok(()), |tty| self.relay.take(&tty))) {
            log::error!("{}: {}", self.console.link().display(), e.sentence());
        }
    }

    /// Has the relay get its terminal once more: an earlier daemon may not have come to that. One that it has
    /// already it does not take again.
    pub(super) fn repeat(&mut self, tty: File) {
        self.pending = Some(tty);
    }

    /// Waits until all that the firmware wrote is in the pty, no longer than `bound`. False if it is not.
    pub(super) async fn drained(&self, bound: Duration) -> bool {
        self.device.is_none() || self.relay.done_within(bound).await
    }

    /// The line in a status, once the firmware has announced it.
    pub(super) fn service(&self) -> Option<Service> {
        self.device.as_ref()?;
        Some(Service { name: self.name.clone(), device: Some(self.console.link().to_owned()) })
    }

    /// Ends the process and gives the pty up.
    pub(super) fn close(self) {
        self.console.close();
        self.relay.end();
    }
}
