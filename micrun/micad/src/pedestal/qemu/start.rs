//! Bringing a QEMU up.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use libmica::Launch;
use libmica::names::JAILED_FIRMWARE;
use micrun_firmware::CpuList;
use micrun_trace::Span;

use super::emulator::Emulator;
use super::guest::QemuGuest;
use super::image::Image;
use super::launch::{Launched, Order, Recipe, launch};
use super::machine::Machine;
use super::pool::Kind;
use super::port::{Home, link_all};
use super::qmp::Qmp;
use super::turns::Turn;
use super::{Qemu, cpus, machine, migration};
use crate::blocking::{self, COPIES, LAUNCHES};
use crate::pedestal::broker::Rings;
use crate::pedestal::{Cancel, ClientSpec, Guest, Pedestal};
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
    pedestal.sweep(spec).await;
    let _under_way = pedestal.pool.starting();
    let (path, section) = (spec.message.path.clone(), spec.qemu.clone());
    let given = request.firmware;
    let load = move || match given {
        Some(given) => Image::take(given, &path, &section),
        None => Image::load(&path, &section),
    };
    let image = Arc::new(COPIES.run(move || Span::internal("load firmware").run(load)).await?);
    let request = Launch { firmware: None, ..request };
    let started = start_image(pedestal, spec, &image, request, cancel).await;
    blocking::discard(image);
    started
}

/// Boots the firmware, which is the client's.
async fn start_image(
    pedestal: &Qemu,
    spec: &ClientSpec,
    image: &Arc<Image>,
    request: Launch,
    cancel: Cancel<'_>,
) -> Result<QemuGuest> {
    let Launch { cgroups, snapshot, oom_score, .. } = request;
    let config = pedestal.config.get();
    let machine = machine::permitted(&config.policy, spec, image)?;
    let shared = config.shared_cpus.as_ref();
    let cpus = if cgroups.is_empty() { cpus::of_client(shared, &spec.message.cpu)? } else { None };
    let recipe = Recipe {
        bin_dir: pedestal.bin_dir.clone(),
        tenant: pedestal.tenants.of(spec),
        cgroups: cgroups.into(),
        oom_score: oom_score.unwrap_or_default(),
        restored: snapshot.is_some(),
        rings: Rings::of(&config),
    };
    let home = Home { spec: spec.clone(), tenant: recipe.tenant.clone(), rings: recipe.rings.clone() };
    if let Some(guest) = start_waiting(pedestal, spec, image, &machine, &recipe, cpus.clone()).await? {
        return Ok(guest);
    }
    let turn = pedestal.turns.take().await;
    let (owned, loaded, place) = (spec.clone(), Arc::clone(image), home.clone());
    let start = move || {
        let order = Order {
            name: owned.name(),
            dir: &owned.dir,
            machine: &machine,
            firmware: (JAILED_FIRMWARE, loaded.file()),
            boot_code: loaded.boot_code(),
            consoles: 1 + usize::from(owned.shell_link.is_some()),
            debug: owned.message.debug,
        };
        let Launched { emulator, ports } = cpus::started_on(cpus.as_ref(), || launch(&order, &recipe))?;
        Ok::<_, Error>((emulator, link_all(&place, ports)))
    };
    let (mut emulator, ports) = LAUNCHES.run(move || Span::internal("launch qemu").run(start)).await?;
    let mut guest = match ports {
        Ok(ports) => QemuGuest::new(emulator, ports, image, home, None),
        Err(e) => {
            emulator.terminate().await?;
            return Err(e);
        }
    };
    let up = bring_up(&mut guest.emulator, turn, snapshot, cancel);
    match Span::internal("bring qemu up").around(up).await {
        Ok(()) => Ok(guest),
        Err(problem) => Err(give_up(guest, &problem).await),
    }
}

/// Has a machine that waits run the firmware. `None` if there is none that fits, or none that could take it: it is to be
/// started the ordinary way then.
async fn start_waiting(
    pedestal: &Qemu,
    spec: &ClientSpec,
    image: &Arc<Image>,
    machine: &Machine,
    recipe: &Recipe,
    cpus: Option<CpuList>,
) -> Result<Option<QemuGuest>> {
    let kind = Kind::of(spec, machine, image.info(), cpus, recipe.oom_score).filter(|_| !recipe.restored);
    let waiting = pedestal.pool.take(kind);
    micrun_trace::note("micrun.pool", if waiting.is_some() { "hit" } else { "miss" });
    let Some(waiting) = waiting else { return Ok(None) };
    let taken = waiting.hand_over(spec, image, &recipe.cgroups);
    let mut guest = match Span::internal("hand over to waiting machine").around(taken).await {
        Ok(guest) => guest,
        Err(e) => {
            log::warn!(
                client = spec.name();
                "{}: a waiting machine could not take its firmware: {}", spec.name(), e.sentence()
            );
            return Ok(None);
        }
    };
    match guest.emulator.run().await {
        Ok(()) => Ok(Some(guest)),
        // It may have run by now.
        Err(problem) => Err(give_up(guest, &problem).await),
    }
}

/// Ends a machine that does not run; gives the error to report.
async fn give_up(mut guest: QemuGuest, problem: &Error) -> Error {
    let died = guest.emulator.process().ended_within(Duration::ZERO).await;
    let ended = guest.emulator.terminate().await;
    guest.release().await;
    let kind = match ended {
        Ok(kind) => kind,
        Err(e) => return e,
    };
    let problem = if died { guest.emulator.death(kind).await.detail } else { problem.sentence() };
    Error::QemuStart { problem }
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
pub(super) async fn connect(emulator: &Emulator) -> Result<Qmp> {
    tokio::select! {
        biased;
        qmp = Qmp::connect(emulator.socket()) => qmp,
        () = emulator.process().ended() => Err(Error::Qmp("QEMU ended".to_owned())),
        () = tokio::time::sleep(HANDSHAKE_BOUND) => Err(Error::QmpTimeout("qmp_capabilities")),
    }
}
