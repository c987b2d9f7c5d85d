//! One machine that waits: how it comes, how it gets its firmware, how it goes.
//!
//! Its directory is `waiting/NUMBER` in the runtime directory. What a later daemon finds there, it ends. Its socket, its
//! log and the record of its process move to the directory of the client that gets it.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use micrun_firmware::memory_file;

use super::super::emulator::Emulator;
use super::super::guest::QemuGuest;
use super::super::image::Image;
use super::super::launch::{Launched, Order, Recipe, launch};
use super::super::port::{Home, LoosePort, link_all};
use super::super::ram::Ram;
use super::super::start::connect;
use super::super::turns::Turn;
use super::super::{adopt, cpus, log_file, qmp_socket, record};
use super::Lease;
use super::keeper::Watch;
use super::kind::Kind;
use crate::Result;
use crate::blocking::{self, LAUNCHES};
use crate::error::{file, system};
use crate::jail::Tenant;
use crate::pedestal::process::ProcessId;
use crate::pedestal::{ClientSpec, Guest, Rings};

/// What the machine has in the firmware's place is called so in its working directory.
const PLACEHOLDER: &str = "placeholder";
/// QEMU's name for the firmware's descriptor.
const FIRMWARE: &str = "firmware";
/// How long QEMU may take for a descriptor.
const BOUND: Duration = Duration::from_secs(2);

/// A machine that waits.
#[derive(Debug)]
pub(in super::super) struct Waiting {
    pub(super) kind: Arc<Kind>,
    pub(super) lease: Lease,
    dir: PathBuf,
    pub(super) emulator: Emulator,
    ports: Vec<LoosePort>,
    tenant: Option<Tenant>,
    rings: Rings,
    ram: Ram,
    /// Memory in bytes that the process has to itself. It stays the same while the machine waits.
    pub(super) memory: u64,
    /// Until it is watched.
    pub(super) watch: Option<Watch>,
}

impl Waiting {
    /// Starts one in `dir`, which is its own. On an error nothing is left behind.
    pub(super) async fn start(
        kind: Arc<Kind>,
        lease: Lease,
        dir: PathBuf,
        recipe: Recipe,
        turn: Turn,
    ) -> Result<Self> {
        let (owned, place, tenant) = (Arc::clone(&kind), dir.clone(), recipe.tenant.clone());
        let rings = recipe.rings.clone();
        let launched = LAUNCHES.run(move || spawn(&owned, &place, &recipe)).await;
        let Launched { mut emulator, ports } = match launched {
            Ok(launched) => launched,
            Err(e) => {
                remove(dir).await;
                return Err(e);
            }
        };
        let ready = async {
            let qmp = connect(&emulator).await?;
            emulator.set_qmp(qmp);
            Ram::find(&mut emulator, kind.base, kind.memory()).await
        };
        let ready = ready.await;
        drop(turn);
        match ready {
            Ok(ram) => {
                let memory = emulator.process().id().own_memory();
                Ok(Self { kind, lease, dir, emulator, ports, tenant, rings, ram, memory, watch: None })
            }
            Err(problem) => {
                ports.into_iter().for_each(LoosePort::end);
                emulator.terminate().await?;
                remove(dir).await;
                Err(problem)
            }
        }
    }

    /// Gives it its firmware, its client and the client's cgroups. It has not run yet. An error is followed by an ordinary
    /// start, and nothing is left of the machine.
    pub(in super::super) async fn hand_over(
        mut self,
        spec: &ClientSpec,
        image: &Arc<Image>,
        cgroups: &Arc<[OwnedFd]>,
    ) -> Result<QemuGuest> {
        // Its end is its client's from now on.
        drop(self.watch.take());
        let Self { lease, dir, mut emulator, ports, tenant, rings, ram, .. } = self;
        let process = emulator.process().id();
        let (firmware, procs, from) = (Arc::clone(image), Arc::clone(cgroups), dir.clone());
        let home = Home { spec: spec.clone(), tenant, rings };
        let owner = home.clone();
        let settle = move || {
            join(process, &procs)?;
            // Who is charged for the memory is decided by now.
            ram.load(firmware.file(), &firmware.info().segments)?;
            move_to(&from, &owner.spec.dir)?;
            link_all(&owner, ports)
        };
        let ports = match LAUNCHES.run(settle).await {
            Ok(ports) => ports,
            Err(e) => {
                emulator.terminate().await?;
                remove(dir).await;
                return Err(e);
            }
        };
        emulator.moved(qmp_socket(&spec.dir), log_file(&spec.dir));
        let mut guest = QemuGuest::new(emulator, ports, image, home, Some(lease));
        // It keeps the firmware, of which nobody else may have a copy: a later patch starts from there.
        let given = match guest.emulator.qmp() {
            Ok(qmp) => qmp.give(FIRMWARE, image.file().as_fd(), BOUND).await,
            Err(e) => Err(e),
        };
        if let Err(e) = given {
            guest.emulator.terminate().await?;
            guest.release().await;
            return Err(e);
        }
        Ok(guest)
    }

    /// Cleans up after it has ended by itself.
    pub(super) async fn bury(mut self) {
        self.emulator.reap();
        self.ports.into_iter().for_each(LoosePort::end);
        remove(self.dir).await;
    }

    /// Ends it.
    pub(super) async fn discard(mut self) {
        // Its end is no surprise.
        drop(self.watch.take());
        if let Err(e) = self.emulator.terminate().await {
            log::error!("a waiting machine: {}", e.sentence());
        }
        self.ports.into_iter().for_each(LoosePort::end);
        remove(self.dir).await;
    }
}

fn spawn(kind: &Kind, dir: &Path, recipe: &Recipe) -> Result<Launched> {
    let doing = "make a memory file for a waiting machine";
    let mut placeholder = memory_file::create().map_err(system(doing))?;
    placeholder.write_all(&kind.placeholder()).map_err(system(doing))?;
    memory_file::seal(&placeholder).map_err(system(doing))?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(file("create", dir))?;
    let number = dir.file_name().unwrap_or_default().to_string_lossy();
    let order = Order {
        name: &format!("waiting-{number}"),
        dir,
        machine: &kind.machine,
        firmware: (PLACEHOLDER, &placeholder),
        boot_code: None,
        consoles: kind.consoles,
        debug: false,
    };
    cpus::started_on(kind.cpus.as_ref(), || launch(&order, recipe))
}

/// Moves the process to cgroups by their `cgroup.procs` files, whose opener's right to do so counts.
fn join(process: ProcessId, cgroups: &[OwnedFd]) -> Result<()> {
    let pid = process.pid.to_string();
    cgroups.iter().try_for_each(|procs| {
        nix::unistd::write(procs, pid.as_bytes()).map(drop).map_err(system("move QEMU to its cgroups"))
    })
}

/// Moves what the machine has in its directory to its client's. A daemon that dies in between leaves the machine to one
/// of them, or to both.
fn move_to(from: &Path, to: &Path) -> Result<()> {
    for place in [log_file, record, qmp_socket] {
        let old = place(from);
        fs::rename(&old, place(to)).map_err(file("move", old))?;
    }
    fs::remove_dir(from).map_err(file("remove", from))
}

async fn remove(dir: PathBuf) {
    let removed = blocking::run(move || match fs::remove_dir_all(&dir) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(file("remove", dir)(e)),
        _ => Ok(()),
    });
    if let Err(e) = removed.await {
        log::warn!("{}", e.sentence());
    }
}

/// Ends the machines that an earlier daemon has left in these directories below `root`.
pub(super) async fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let dir = entry.path();
        if adopt::sweep(&dir).await {
            log::debug!("{}: ended an earlier daemon's waiting machine", dir.display());
        }
        remove(dir).await;
    }
}
