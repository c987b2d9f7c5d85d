//! Create: from a bundle to a client that the daemon knows. What fails leaves nothing behind.
//!
//! [`Terms::ask`]: on which terms the daemon takes firmware.
//!
//! [`Creation::unpack`], on a thread that may wait:
//! 1. Check the id, claim the state directory, read the host's configuration.
//! 2. Find the firmware, check what has no effect on it, lower its memory to the limit, ask for permission.
//! 3. Copy the file of its pedestal.
//!
//! [`Creation::connect`], on the one thread, which waits for nobody:
//! 1. Open the streams.
//! 2. Make the cgroup with its limits.
//! 3. Have the firmware copied, for which the cgroup pays, and the checkpoint checked: [`Source::take`].
//! 4. Tell the daemon.

mod conf;
mod copy;
mod labels;
mod limits;
mod message;
mod permission;

use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use containerd_shim_protos::api::CreateTaskRequest;
pub(crate) use copy::run as run_copy;
use libmica::names;
pub(crate) use limits::apply_memory_limit;
use micrun_firmware::snapshot::Machine;
use micrun_firmware::{Firmware, HostConf, Settings, Sha256Digest, vigil};
use micrun_trace::Span;

use crate::cgroup::Cgroup;
use crate::error::{Error, Result, describe};
use crate::oci::bundle::Spec;
use crate::oci::mount::Rootfs;
use crate::oci::options::Options;
use crate::os::blocking;
use crate::os::netns::NetworkNamespace;
use crate::rtos::checkpoint;
use crate::rtos::container::Container;
use crate::rtos::firmware::Firmware as InMemory;
use crate::rtos::ignored;
use crate::rtos::plan::Plan;
use crate::rtos::state_dir::{Draft, Owner, StateDir};
use crate::rtos::terms::Terms;
use crate::stdio::{Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;

/// Name of the checked firmware in the state directory, as upstream has it.
const FIRMWARE: &str = "firmware.elf";
/// Why a checkpoint is refused.
const NO_CHECKPOINT: &str =
    "only firmware on the qemu pedestal can continue from a checkpoint: the state of a core cannot be set";

/// Makes a container of a Create request, whose root file system is mounted until the firmware is copied.
pub(crate) async fn create(
    context: &Arc<Context>,
    request: &CreateTaskRequest,
    spec: Spec,
    rootfs: Rootfs,
) -> Result<Container> {
    let (surroundings, wish) = (Arc::clone(context), request.clone());
    let terms = Terms::ask(&*context.mica).await;
    let unpack = move || {
        let span = Span::internal("plan firmware");
        span.run(|| Creation::unpack(surroundings, wish, &spec, &terms?, rootfs))
    };
    let mut creation = blocking::run(unpack).await?;
    match creation.connect().await {
        Ok(streams) => {
            log::info!(container = request.id; "created {}", request.id);
            let container = creation.finish(streams);
            context.events.publish(Event::create(request, container.pid));
            Ok(container)
        }
        Err(error) => {
            creation.undo().await;
            Err(error)
        }
    }
}

/// A container in the making.
struct Creation {
    context: Arc<Context>,
    request: CreateTaskRequest,
    dir: Draft,
    plan: Plan,
    /// The image, until the firmware is copied.
    source: Option<Source>,
    /// Whether the plan's cgroup is there, and ours to remove.
    has_cgroup: bool,
    network: Option<NetworkNamespace>,
    /// How the daemon is to watch over it.
    vigil: Vec<(&'static str, String)>,
    /// Whether the daemon's log says of it what it is told.
    takes_labels: bool,
}

impl Creation {
    /// Finds the firmware in the image, and plans how it is run. To be called where waiting is allowed.
    fn unpack(
        context: Arc<Context>,
        request: CreateTaskRequest,
        spec: &Spec,
        terms: &Terms,
        rootfs: Rootfs,
    ) -> Result<Self> {
        let id = &request.id;
        check_id(id)?;
        let options = Options::read(request.options.get_or_default())?;
        log::debug!(container = id; "{id}: runtime options {options:?}");
        let cgroups_path = limits::cgroups_path(&context, spec, id);
        let owner = Owner::this_process(&context.namespace, id, &cgroups_path);
        let dir = StateDir::create(&context.state_root, &owner)?.draft();

        let host = conf::of_host(&context, spec, &options)?;
        let root = spec.rootfs(Path::new(&request.bundle));
        let mut firmware = Firmware::resolve_on(&host, &root, &spec.annotations)?;
        warn(id, spec, &firmware, &host)?;
        let asked = &spec.linux.resources;
        apply_memory_limit(&mut firmware, asked, host.policy())?;
        let snapshot = Snapshot::of(&request, &root);
        permission::check(snapshot != Snapshot::None, &firmware, asked, &host, terms)?;
        let uses_pool = limits::uses_pool(&context, &firmware, &host, terms);
        let resources = limits::in_pool(asked, terms.shared.as_ref().filter(|_| uses_pool))?;

        let pedestal_conf = conf::of_pedestal(&firmware, spec, &host, &dir)?;
        let path = dir.path(FIRMWARE);
        let message = message::of(id, path, pedestal_conf, &firmware, asked, host.policy());
        log::info!(container = id; "{id}: {} on {}", firmware.file.path.display(), message.pedestal);

        let settings = firmware.settings.clone();
        let vigil = vigil(&settings)?;
        let machine = Machine::new(&firmware)?;
        let plan = Plan {
            firmware: None,
            snapshot: None,
            patched: None,
            oom_score: limits::oom_score(id, spec, &machine),
            cgroup: limits::cgroup(&context, spec, id, &machine, &cgroups_path)?,
            uses_pool,
            machine,
            message,
            resources,
            overhead_mb: host.emulator_overhead_mb(),
            static_resource: settings.static_resource.value,
            policy: host.policy().clone(),
            prompt: settings.shell_prompt.value,
            greeting: settings.greeting.value.bytes().to_vec(),
            ready: settings.ready.value,
            ready_timeout: settings.ready_timeout.value,
            close_after: settings.auto_close.value,
        };
        let source = Some(Source { firmware, snapshot, rootfs });
        let network = spec.has_new_network().then(|| network(&request.id)).flatten();
        let takes_labels = terms.takes_labels;
        Ok(Self { context, request, dir, plan, source, has_cgroup: false, network, vigil, takes_labels })
    }

    /// Does what involves others: those at the other ends of the streams, the kernel's cgroups, the daemon.
    async fn connect(&mut self) -> Result<Streams> {
        let streams = self.open_streams().await?;
        self.make_cgroup().await?;
        self.take_firmware().await?;
        self.tell_daemon().await?;
        Ok(streams)
    }

    async fn open_streams(&self) -> Result<Streams> {
        let identity = Identity { namespace: &self.context.namespace, id: &self.request.id };
        Streams::open(&Paths::from(&self.request), identity).await
    }

    async fn make_cgroup(&mut self) -> Result<()> {
        let Some(cgroup) = &mut self.plan.cgroup else { return Ok(()) };
        let (resources, overhead_mb, has_cgroup) =
            (&self.plan.resources, self.plan.overhead_mb, &mut self.has_cgroup);
        let work = async {
            cgroup.create().await?;
            *has_cgroup = true;
            cgroup.limit(resources, overhead_mb).await
        };
        Span::internal("make cgroup").around(work).await
    }

    async fn take_firmware(&mut self) -> Result<()> {
        let Some(source) = self.source.take() else { return Ok(()) };
        let (dir, machine, cgroup) = (self.dir.clone(), self.plan.machine.clone(), self.plan.cgroup.clone());
        let take =
            move || Span::internal("take firmware").run(|| source.take(&dir, machine, cgroup.as_ref()));
        let taken = blocking::run(take).await?;
        self.plan.machine = taken.machine;
        if let Some((state, patched)) = taken.snapshot {
            (self.plan.snapshot, self.plan.patched) = (Some(state), patched);
        }
        self.plan.firmware = taken.firmware.map(InMemory::new);
        Ok(())
    }

    async fn tell_daemon(&self) -> Result<()> {
        let (mica, message) = (&self.context.mica, &self.plan.message);
        mica.create(message).await?;
        if self.takes_labels {
            self.introduce().await;
        }
        for (key, value) in &self.vigil {
            if let Err(error) = mica.set(&message.name, key, value).await {
                // Whoever wants firmware watched over gets none that is not. The daemon's refusal is told.
                let _ = mica.remove(&message.name).await;
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Has the daemon's log say which container its client is. A log that does not say it is no reason to fail.
    async fn introduce(&self) {
        let (context, id) = (&self.context, &self.request.id);
        let firmware = &self.plan.machine.firmware;
        let told = match labels::document(id, &context.namespace, firmware) {
            Ok(document) => context.mica.about(id, document.as_fd()).await.map_err(Error::from),
            Err(error) => Err(error),
        };
        if let Err(error) = told {
            log::warn!(container = id; "{id}: micad's log does not say whose it is: {}", describe(&error));
        }
    }

    fn finish(self, streams: Streams) -> Container {
        let Self { request, dir, plan, network, .. } = self;
        let paths = Paths::from(&request);
        Container::new(request.id, request.bundle.into(), paths, plan, dir.keep(), streams, network)
    }

    /// Takes away what there is so far.
    async fn undo(self) {
        let Self { plan, dir, source, has_cgroup, .. } = self;
        // The copy in memory is the cgroup's.
        if let Some(firmware) = plan.firmware {
            firmware.discard().await;
        }
        if let Some(cgroup) = plan.cgroup.filter(|_| has_cgroup) {
            cgroup.remove().await;
        }
        blocking::discard((source, dir)).await;
    }
}

/// A network namespace, which the firmware does not need: a kernel without them runs it as well.
fn network(id: &str) -> Option<NetworkNamespace> {
    NetworkNamespace::new().inspect_err(|error| log::warn!("{id}: {}", describe(error))).ok()
}

/// What the daemon is told of watching over the container. A run that it started again would be none of the container's.
fn vigil(settings: &Settings) -> Result<Vec<(&'static str, String)>> {
    let watchdog = settings.watchdog.value;
    if watchdog.restart {
        return Err(Error::Invalid(
            "container.watchdog: a container is started again by whoever runs it (restartPolicy, nerdctl's \
             --restart), so write it without restart"
                .into(),
        ));
    }
    Ok(vigil::commands(settings.coredump.value, watchdog))
}

fn check_id(id: &str) -> Result<()> {
    if id.len() > names::NAME_MAX {
        let limit = names::NAME_MAX;
        return Err(Error::Invalid(format!(
            "container ID: exceeds mica limit (66 characters): `{id}` has {}, use at most {limit}",
            id.len()
        )));
    }
    Ok(names::validate(id)?)
}

/// Says in the log what of the specification and of the configuration has no effect, or refuses it.
fn warn(id: &str, spec: &Spec, firmware: &Firmware, host: &HostConf) -> Result<()> {
    let without_effect = ignored::check(spec, conf::has_command_line(firmware))?;
    if !without_effect.is_empty() {
        log::warn!(container = id; "{id} is firmware, so these have no effect: {without_effect}");
    }
    for warning in firmware.warnings.iter().chain(host.warnings()) {
        log::warn!(container = id; "{id}: {warning}");
    }
    if firmware.settings.debug.value {
        log::set_max_level(log::LevelFilter::Debug);
    }
    Ok(())
}

/// Where the state is from which the firmware goes on.
#[derive(Debug, PartialEq, Eq)]
enum Snapshot {
    /// Nowhere: it starts from its beginning.
    None,
    /// In the directory of a checkpoint, which the request names.
    Checkpoint(PathBuf),
    /// In the image, whose root file system this is.
    Image(PathBuf),
}

impl Snapshot {
    /// The request's comes before the image's.
    fn of(request: &CreateTaskRequest, root: &Path) -> Self {
        match request.checkpoint.as_str() {
            "" if checkpoint::is_in_image(root) => Self::Image(root.to_owned()),
            "" => Self::None,
            path => Self::Checkpoint(path.into()),
        }
    }
}

/// The image, mounted and its firmware open.
struct Source {
    firmware: Firmware,
    snapshot: Snapshot,
    /// Unmounted when it is dropped.
    rootfs: Rootfs,
}

/// What was taken out of an image.
struct Taken {
    machine: Machine,
    firmware: Option<File>,
    /// The state to go on from, and what its firmware was patched to.
    snapshot: Option<(File, Option<Sha256Digest>)>,
}

impl Source {
    /// Copies the firmware, and opens the state to go on from if there is one. What runs is a copy that nobody can change
    /// after the check, so the root file system is unmounted at the end. To be called where waiting is allowed.
    fn take(self, dir: &StateDir, mut machine: Machine, cgroup: Option<&Cgroup>) -> Result<Taken> {
        let Self { firmware, snapshot, rootfs } = self;
        let (memory, digest) = if machine.is_emulated() {
            let (memory, digest) = copy::in_memory(&firmware, cgroup, dir)?;
            (Some(memory), digest)
        } else {
            (None, copy::in_file(&firmware, dir)?)
        };
        machine.firmware = digest.to_string();
        let snapshot = match snapshot {
            Snapshot::None => None,
            _ if !machine.is_emulated() => return Err(Error::Unimplemented(NO_CHECKPOINT)),
            Snapshot::Checkpoint(dir) => Some(checkpoint::open(&dir, &machine)?),
            Snapshot::Image(root) => Some(checkpoint::copy_of_image(&root, &machine)?),
        };
        drop(rootfs);
        Ok(Taken { machine, firmware: memory, snapshot })
    }
}
