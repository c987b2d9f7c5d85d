//! A stream of the firmware's, as its readers see it: a pty, and the [`Broker`] between it and the kernel's rpmsg terminal or
//! trace buffer.
//!
//! The rpmsg terminal itself would not do for readers. It has no flow control: a write fails with ENOMEM when
//! the firmware's eight buffers are full. And it vanishes with the firmware, with everything that nobody had
//! read: firmware that prints and exits would have no output.
//!
//! The process does not depend on the daemon's life; the next daemon takes the pty back from it.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libmica::Service;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::jail::Tenant;
use crate::pedestal::broker::{Broker, Door, Rings};
use crate::pedestal::console::{Console, Pty};
use crate::pedestal::{ClientSpec, ProcessId};

/// What the firmware writes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A terminal of rpmsg.
    #[default]
    Terminal,
    /// A trace buffer.
    Trace,
}

/// What a later daemon needs to take a stream over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedLine {
    name: String,
    #[serde(default)]
    kind: Kind,
    device: Option<String>,
    link: PathBuf,
    /// The file's word for it since its version 1.
    #[serde(rename = "carrier")]
    broker: ProcessId,
    /// Which line of the client's this is.
    #[serde(default)]
    number: usize,
    socket: i32,
    master: i32,
    slave: i32,
}

/// Whose terminals are, and how their brokers are started.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) spec: ClientSpec,
    pub(super) tenant: Option<Tenant>,
    pub(super) rings: Rings,
    /// The names of the channels that are streams.
    pub(super) channels: Vec<String>,
}

/// One stream.
#[derive(Debug)]
pub(super) struct Line {
    name: String,
    kind: Kind,
    /// The device that is relayed, or was last; `None` as long as the firmware has announced nothing.
    device: Option<String>,
    console: Console,
    broker: Broker,
    number: usize,
    /// The device's file, until the broker has it.
    pending: Option<File>,
    /// Whether the broker knows that it is written down.
    kept: bool,
}

impl Line {
    /// A pty at `link` for what has this name.
    pub(super) fn new(name: &str, kind: Kind, number: usize, link: &Path, owner: &Owner) -> Result<Self> {
        let mut pty = Pty::open()?;
        let broker = Broker::spawn(&mut pty, owner.tenant.as_ref(), &owner.rings)?;
        broker.remember(&owner.spec, owner.rings.begin(&owner.spec, number));
        match pty.linked(link) {
            Ok(console) => {
                let name = name.to_owned();
                Ok(Self { name, kind, device: None, console, broker, number, pending: None, kept: false })
            }
            Err(e) => {
                broker.end();
                Err(e)
            }
        }
    }

    /// The terminal that an earlier daemon has written down; `None` if its process has ended.
    pub(super) fn adopt(saved: &SavedLine) -> Option<Self> {
        let Some(broker) = Broker::adopt(saved.broker, saved.socket) else {
            // It leads to a pty that has ended with that process.
            let _ = std::fs::remove_file(&saved.link);
            return None;
        };
        match Console::adopt(broker.process(), saved.master, saved.slave, &saved.link) {
            Ok(console) => {
                let (name, device) = (saved.name.clone(), saved.device.clone());
                let (number, kind) = (saved.number, saved.kind);
                Some(Self { name, kind, device, console, broker, number, pending: None, kept: true })
            }
            Err(e) => {
                log::warn!("{}: {}", saved.link.display(), e.sentence());
                broker.end();
                None
            }
        }
    }

    /// What [`Self::adopt`] needs.
    pub(super) fn save(&self) -> SavedLine {
        let (master, slave) = self.console.numbers();
        SavedLine {
            name: self.name.clone(),
            kind: self.kind,
            device: self.device.clone(),
            link: self.console.link().to_owned(),
            broker: self.broker.process().id(),
            number: self.number,
            socket: self.broker.number(),
            master,
            slave,
        }
    }

    /// What it is.
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether this is the device's, and is relayed.
    pub(super) fn serves(&self, device: &str) -> bool {
        self.device.as_deref() == Some(device) && !self.broker.is_dead()
    }

    /// Whether this is where that link leads.
    pub(super) fn is_at(&self, link: &Path) -> bool {
        self.console.link() == link
    }

    /// Whether a device can have this line: it has the name, and what was relayed before is gone.
    pub(super) fn fits(&self, name: &str) -> bool {
        self.name == name && (self.device.is_none() || self.broker.is_done())
    }

    /// Takes the device's open file: now, if the broker is written down, else by [`Self::begin`].
    pub(super) fn accept(&mut self, device: &str, file: File, owner: &Owner) -> Result<()> {
        if self.broker.is_dead() {
            let mut pty = self.console.share()?;
            let broker = Broker::spawn(&mut pty, owner.tenant.as_ref(), &owner.rings)?;
            broker.remember(&owner.spec, owner.rings.resume(&owner.spec, self.number));
            self.console.replace(pty);
            std::mem::replace(&mut self.broker, broker).end();
            self.kept = false;
        }
        self.device = Some(device.to_owned());
        self.pending = Some(file);
        if self.kept {
            self.begin();
        }
        Ok(())
    }

    /// Lets the bytes pass, once the line is written down: a later daemon must not start a second broker.
    pub(super) fn begin(&mut self) {
        let kept = if self.kept { Ok(()) } else { self.broker.keep() };
        self.kept |= kept.is_ok();
        let pending = self.pending.take();
        let give = |file: File| match self.kind {
            Kind::Terminal => self.broker.take_rpmsg(file.as_fd()),
            Kind::Trace => self.broker.take_trace(file.as_fd()),
        };
        if let Err(e) = kept.and_then(|()| pending.map_or(Ok(()), give)) {
            log::error!("{}: {}", self.console.link().display(), e.sentence());
        }
    }

    /// Has the broker get its device once more: an earlier daemon may not have come to that. A terminal that it has already
    /// it does not take again.
    pub(super) fn repeat(&mut self, file: File) {
        self.pending = Some(file);
    }

    /// The way to it for those who attach, once the firmware has announced it.
    pub(super) fn door(&self) -> Option<Door> {
        self.device.as_ref().map(|_| self.broker.door(&self.name))
    }

    /// Says that the run has ended, and whether the kernel's terminal is left.
    pub(super) fn run_is_over(&self, left: bool) {
        if left {
            self.broker.run_is_over_but_terminal_stays();
        } else {
            self.broker.run_is_over();
        }
    }

    /// Waits until all that the firmware wrote can be read, no longer than `bound`. False if it is not.
    pub(super) async fn drained(&self, bound: Duration) -> bool {
        self.device.is_none() || self.broker.done_within(bound).await
    }

    /// The line in a status, once the firmware has announced it.
    pub(super) fn service(&self) -> Option<Service> {
        self.device.as_ref()?;
        Some(Service { name: self.name.clone(), device: Some(self.console.link().to_owned()) })
    }

    /// Ends the process, and blocks until it has.
    pub(super) fn kill_now(&self) {
        self.broker.process().kill_now();
    }

    /// Ends the process and gives the pty up.
    pub(super) fn close(self) {
        self.console.close();
        self.broker.end();
    }
}
