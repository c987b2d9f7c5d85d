//! A serial port of a machine: the pty on which QEMU writes, and the broker that reads there.
//!
//! QEMU keeps both ends of its pty for a broker that follows one that was killed: firmware that has filled the pty meanwhile
//! waits no longer than that.

use std::io::ErrorKind;
use std::os::fd::{AsFd, RawFd};
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::system;
use crate::jail::Tenant;
use crate::pedestal::ClientSpec;
use crate::pedestal::broker::{Broker, Door, Rings};
use crate::pedestal::console::{Console, Pty};
use crate::pedestal::process::{Process, ProcessId};
use crate::{Error, Result};

/// What a later daemon needs to take a port over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SavedPort {
    /// QEMU's numbers for the ends of its pty.
    pub(super) qemu: (RawFd, RawFd),
    broker: ProcessId,
    /// The broker's numbers for the daemon's socket, and for the ends of the pty that a status tells.
    socket: RawFd,
    console: (RawFd, RawFd),
}

/// A port of a machine that has no client yet.
#[derive(Debug)]
pub(super) struct LoosePort {
    broker: Broker,
    pty: Pty,
    qemu: (RawFd, RawFd),
}

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    broker: Broker,
    console: Console,
    qemu: (RawFd, RawFd),
    /// Whether the broker knows that it is written down.
    kept: bool,
}

impl LoosePort {
    /// A port whose other end QEMU has, a copy of which this is. Blocks.
    pub(super) fn new(qemu: &Pty, tenant: Option<&Tenant>, rings: &Rings) -> Result<Self> {
        let mut pty = Pty::open()?;
        let broker = Broker::spawn(&mut pty, tenant, rings)?;
        let taken = qemu.both().and_then(|(master, slave)| broker.take_pty(slave, master));
        match taken {
            Ok(()) => Ok(Self { broker, pty, qemu: qemu.numbers() }),
            Err(e) => {
                broker.end();
                Err(e)
            }
        }
    }

    /// The client's, reachable as `link`. `number` is the port's. Blocks.
    fn linked(self, home: &Home, number: usize, link: &Path) -> Result<Port> {
        let Self { broker, pty, qemu } = self;
        broker.remember(&home.spec, home.rings.begin(&home.spec, number));
        match pty.linked(link) {
            Ok(console) => Ok(Port { broker, console, qemu, kept: false }),
            Err(e) => {
                broker.end();
                Err(e)
            }
        }
    }

    /// Ends the broker.
    pub(super) fn end(self) {
        self.broker.end();
    }
}

/// Whose ports are, and how their brokers are started.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) spec: ClientSpec,
    pub(super) tenant: Option<Tenant>,
    pub(super) rings: Rings,
}

impl Home {
    /// The links that lead to the ports, the console's first.
    fn links(&self) -> impl Iterator<Item = &PathBuf> {
        std::iter::once(&self.spec.tty_link).chain(&self.spec.shell_link)
    }
}

/// Makes the ports a client's. On an error there are none. Blocks.
pub(super) fn link_all(home: &Home, loose: Vec<LoosePort>) -> Result<Vec<Port>> {
    let mut linked = Vec::new();
    let mut loose = loose.into_iter();
    for (number, (port, link)) in loose.by_ref().zip(home.links()).enumerate() {
        match port.linked(home, number, link) {
            Ok(port) => linked.push(port),
            Err(e) => {
                linked.into_iter().for_each(Port::close);
                loose.for_each(LoosePort::end);
                return Err(e);
            }
        }
    }
    Ok(linked)
}

/// The ports that an earlier daemon has written down; with other brokers where those have ended and `emulator`, which still
/// runs, has what they need. Blocks.
pub(super) fn adopt_all(saved: &[SavedPort], emulator: Option<&Process>, home: &Home) -> Vec<Port> {
    let ports = saved.iter().zip(home.links()).enumerate();
    // One that is not there would give its place to the next.
    let adopted = ports.map_while(|(number, (saved, link))| {
        let adopted = Port::adopt(*saved, emulator, home, number, link);
        let failed = |e: &Error| {
            log::error!(client = home.spec.name(); "{}: {}", link.display(), e.sentence());
        };
        adopted.inspect_err(failed).ok().flatten()
    });
    adopted.collect()
}

/// Another broker, with its pty, in the place of one that is dead.
#[derive(Debug)]
pub(super) struct Revival {
    broker: Broker,
    pty: Pty,
}

impl Port {
    fn adopt(
        saved: SavedPort,
        emulator: Option<&Process>,
        home: &Home,
        number: usize,
        link: &Path,
    ) -> Result<Option<Self>> {
        let SavedPort { qemu, broker, socket, console } = saved;
        if let Some(broker) = Broker::adopt(broker, socket) {
            return match Console::adopt(broker.process(), console.0, console.1, link) {
                Ok(console) => Ok(Some(Self { broker, console, qemu, kept: true })),
                Err(e) => {
                    broker.end();
                    Err(e)
                }
            };
        }
        let Some(emulator) = emulator else { return Ok(None) };
        let Revival { broker, pty } = revive(Pty::open()?, emulator, qemu, home, number)?;
        Ok(Some(Self { broker, console: pty.linked(link)?, qemu, kept: false }))
    }

    /// Starts another broker for this port, which has the number `number`. That blocks, and is done by what this gives.
    pub(super) fn reviving(
        &self,
        number: usize,
        emulator: ProcessId,
        home: &Home,
    ) -> impl FnOnce() -> Result<Revival> + Send + 'static {
        let (pty, qemu, home) = (self.console.share(), self.qemu, home.clone());
        move || {
            let emulator = Process::adopt(emulator).ok_or(ErrorKind::NotFound);
            let emulator =
                emulator.map_err(|kind| system("find a console's QEMU")(std::io::Error::from(kind)))?;
            revive(pty?, &emulator, qemu, &home, number)
        }
    }

    /// Goes on with another broker.
    pub(super) fn revived(&mut self, revival: Revival) {
        self.console.replace(revival.pty);
        std::mem::replace(&mut self.broker, revival.broker).end();
        self.kept = false;
    }

    /// What a later daemon needs.
    pub(super) fn save(&self) -> SavedPort {
        SavedPort {
            qemu: self.qemu,
            broker: self.broker.process().id(),
            socket: self.broker.number(),
            console: self.console.numbers(),
        }
    }

    /// The port is written down: its broker lives longer than the daemon.
    pub(super) fn keep(&mut self) {
        if !self.kept {
            match self.broker.keep() {
                Ok(()) => self.kept = true,
                Err(e) => log::error!("{}: {}", self.link().display(), e.sentence()),
            }
        }
    }

    /// The link that leads to it.
    pub(super) fn link(&self) -> &Path {
        self.console.link()
    }

    /// The way to it for those who attach.
    pub(super) fn door(&self, name: &str) -> Door {
        self.broker.door(name)
    }

    /// How many bytes it has ever shown.
    pub(super) async fn shown(&self) -> Option<u64> {
        self.broker.shown().await
    }

    /// Waits until its broker is dead. May be cancelled.
    pub(super) async fn broken(&self) {
        self.broker.died().await;
    }

    /// Whether its broker is dead.
    pub(super) fn is_broken(&self) -> bool {
        self.broker.is_dead()
    }

    /// Says that QEMU is no more.
    pub(super) fn run_is_over(&self) {
        self.broker.run_is_over();
    }

    /// Waits until all that QEMU wrote can be read, no longer than `bound`. False if it cannot.
    pub(super) async fn drained(&self, bound: Duration) -> bool {
        self.broker.done_within(bound).await
    }

    /// Ends the broker and gives the pty up. Blocks.
    pub(super) fn close(self) {
        self.console.close();
        self.broker.end();
    }
}

/// Waits until the broker of one of these is dead. May be cancelled.
pub(super) async fn any_broken(ports: &[Port]) {
    let mut broken: Vec<_> = ports.iter().map(|port| Box::pin(port.broken())).collect();
    std::future::poll_fn(|context| {
        let any = broken.iter_mut().any(|port| port.as_mut().poll(context).is_ready());
        if any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// A broker for `pty` that goes on with a port of this QEMU.
fn revive(
    mut pty: Pty,
    emulator: &Process,
    qemu: (RawFd, RawFd),
    home: &Home,
    number: usize,
) -> Result<Revival> {
    let (master, slave) = (emulator.fd(qemu.0)?, emulator.fd(qemu.1)?);
    let broker = Broker::spawn(&mut pty, home.tenant.as_ref(), &home.rings)?;
    broker.remember(&home.spec, home.rings.resume(&home.spec, number));
    match broker.take_pty(slave.as_fd(), master.as_fd()) {
        Ok(()) => Ok(Revival { broker, pty }),
        Err(e) => {
            broker.end();
            Err(e)
        }
    }
}
