//! Bringing a QEMU up.

use std::os::fd::OwnedFd;
use std::time::Duration;

use libmica::Launch;

use super::emulator::Emulator;
use super::guest::QemuGuest;
use super::image::Image;
use super::launch::{Recipe, launch};
use super::qmp::Qmp;
use super::turns::Turn;
use super::{Qemu, adopt, cpus, machine, migration};
use crate::blocking::{COPIES, LAUNCHES};
use crate::pedestal::{Cancel, ClientSpec, Guest};
use crate::{Error, Result};

/// How long QEMU may take from its start to its QMP handshake: 40 ms on a PC, 2 s inside an emulated machine.
const HANDSHAKE_BOUND: Duration = Duration::from_secs(20);
/// How long a QEMU that closes its connection may take to end.
const END_BOUND: Duration = Duration::from_secs(1);

/// Boots the client's firmware. QEMU starts with the machine stopped, so that it is ready to be told, and its
/// console complete, before the firmware's first instruction.
pub(super) async fn start(
    pedestal: &Qemu,
    spec: &ClientSpec,
    request: Launch,
    cancel: Cancel<'_>,
) -> Result<QemuGuest> {
    // One that could not be taken over must not go on beside its successor.
    adopt::sweep(spec).await;
    let Launch { cgroups, snapshot, firmware, oom_score } = request;
    let (path, section) = (spec.message.path.clone(), spec.qemu.clone());
    let load = move || match firmware {
        Some(given) => Image::take(given, &path, &section),
        None => Image::load(&path, &section),
    };
    let image = COPIES.run(load).await?;
    let turn = pedestal.turns.take().await;
    let cpus =
        if cgroups.is_empty() { cpus::of_client(pedestal.pool.as_ref(), &spec.message.cpu)? } else { None };
    let recipe = Recipe {
        bin_dir: pedestal.bin_dir.clone(),
        tenant: pedestal.tenants.of(spec),
        cgroups,
        oom_score: oom_score.unwrap_or_default(),
        restored: snapshot.is_some(),
    };
    let (owned, policy) = (spec.clone(), pedestal.policy.clone());
    let start = move || {
        let machine = machine::permitted(&policy, &owned, &image)?;
        cpus::started_on(cpus.as_ref(), || launch(&owned, &image, &machine, &recipe))
    };
    let mut guest = LAUNCHES.run(start).await?;
    match bring_up(&mut guest.emulator, turn, snapshot, cancel).await {
        Ok(()) => Ok(guest),
        Err(problem) => {
            let died = guest.emulator.process().ended_within(Duration::ZERO).await;
            let ended = guest.emulator.terminate().await;
            guest.release().await;
            let kind = ended?;
            let problem = if died { guest.emulator.death(kind).await.detail } else { problem.sentence() };
            Err(Error::QemuStart { problem })
        }
    }
}

/// Negotiates, puts the machine into the state of the snapshot, if there is one, and lets it run.
async fn bring_up(
    emulator: &mut Emulator,
    turn: Turn,
    snapshot: Option<OwnedFd>,
    cancel: Cancel<'_>,
) -> Result<()> {
    let ready = async {
        let mut qmp = connect(emulator).await?;
        drop(turn);
        if let Some(snapshot) = snapshot {
            migration::load(&mut qmp, snapshot, cancel).await?;
        }
        Ok(qmp)
    };
    match ready.await {
        Ok(qmp) => emulator.set_qmp(qmp),
        Err(e) => {
            // A refused or closed connection means that QEMU is ending: its own words say why.
            if !matches!(e, Error::Cancelled { .. }) {
                emulator.process().ended_within(END_BOUND).await;
            }
            return Err(e);
        }
    }
    emulator.run().await
}

/// Connects to a QEMU that has just been started.
async fn connect(emulator: &Emulator) -> Result<Qmp> {
    tokio::select! {
        biased;
        qmp = Qmp::connect(emulator.socket()) => qmp,
        () = emulator.process().ended() => Err(Error::Qmp("QEMU ended".to_owned())),
        () = tokio::time::sleep(HANDSHAKE_BOUND) => Err(Error::QmpTimeout("qmp_capabilities")),
    }
}
