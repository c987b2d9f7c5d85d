//! Create: from a bundle to a process that waits for Start. What fails leaves nothing behind.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use containerd_shim_protos::api::CreateTaskRequest;
use micrun_trace::Current;
use nix::unistd::{Gid, Uid};

use super::process::LinuxProcess;
use super::runtime::{Choice, PID_FILE, Runtime, Wiring, adopt};
use super::terminal::ConsoleSocket;
use super::{Linux, oom};
use crate::cgroup::{self, Cgroup};
use crate::error::{Result, describe};
use crate::oci::bundle::Spec;
use crate::oci::environment;
use crate::oci::options::Options;
use crate::oci::shared;
use crate::os::lock::lock;
use crate::os::{blocking, children};
use crate::stdio::{Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::execs::Execs;

/// The folder beside that of the RTOS containers.
const STATE: &str = "linux";

/// Where CRIU works, in the bundle.
const CRIU_WORK: &str = "criu";

/// Makes a container of a Create request whose root file system is mounted.
pub(crate) async fn create(
    context: &Arc<Context>,
    request: &CreateTaskRequest,
    spec: &Spec,
) -> Result<Arc<Linux>> {
    let id = request.id.clone();
    let bundle = PathBuf::from(&request.bundle);
    cgroup::check_path(&spec.linux.cgroups_path)?;
    let options = Options::read(request.options.get_or_default())?;
    let state = context.state_root.with_file_name(STATE);
    let choice = Choice::new(&options, &state, &context.namespace, &spec.linux.cgroups_path)?;
    log::debug!(container = id; "{id}: {choice:?}, options {options:?}");
    choice.write(&bundle)?;
    if let Some(shared) = context.shared.get().cloned() {
        let bundle = bundle.clone();
        blocking::run(move || shared::mount_into(&bundle, &shared)).await?;
    }
    let owner = match &options {
        Options::Runc(options) => (options.io_uid, options.io_gid),
        _ => (0, 0),
    };
    let variables = Current::here().variables();
    if !variables.is_empty() && !spec.is_sandbox() {
        let bundle = bundle.clone();
        blocking::run(move || environment::add_to_bundle(&bundle, &variables)).await?;
    }
    let paths = Paths::from(request);
    let streams = Streams::open(&paths, Identity { namespace: &context.namespace, id: &id }).await?;
    let container = Arc::new(Linux {
        sockets: state,
        sandbox: spec.is_sandbox(),
        private_pids: spec.has_private_pids(),
        owner: (Uid::from_raw(owner.0), Gid::from_raw(owner.1)),
        runtime: Runtime::new(choice, &id, &bundle),
        init: Arc::new(LinuxProcess::new(&id, "", paths)),
        flags: flags(&options),
        criu_work: criu_work(&options, &bundle),
        restored_from: Some(PathBuf::from(&request.checkpoint)).filter(|path| path != Path::new("")),
        waiting: Mutex::default(),
        cgroup: OnceLock::new(),
        oom: Mutex::default(),
        execs: Execs::default(),
        id,
        bundle,
    });
    if container.restored_from.is_some() {
        // There is nothing that could wait: what is restored runs.
        *lock(&container.waiting) = Some(streams);
    } else if let Err(error) = container.bring_up(context, streams).await {
        container.init.task.end_loggers().await;
        return Err(error);
    }
    log::info!(container = container.id; "created {}", container.id);
    context.events.publish(Event::create(request, container.init.pid()));
    Ok(container)
}

/// What the options ask of the runtime when it makes the container.
fn flags(options: &Options) -> Vec<&'static str> {
    let Options::Runc(options) = options else { return Vec::new() };
    let pivot = options.no_pivot_root.then_some("--no-pivot");
    pivot.into_iter().chain(options.no_new_keyring.then_some("--no-new-keyring")).collect()
}

/// Where CRIU works and writes its log: in the bundle, unless the options say otherwise.
fn criu_work(options: &Options, bundle: &Path) -> PathBuf {
    match options {
        Options::Runc(options) if !options.criu_work_path.is_empty() => {
            PathBuf::from(&options.criu_work_path)
        }
        _ => bundle.join(CRIU_WORK),
    }
}

impl Linux {
    /// Has the runtime make the container's own process, or bring it back from a checkpoint, and takes it over.
    pub(super) async fn bring_up(self: &Arc<Self>, context: &Arc<Context>, streams: Streams) -> Result<()> {
        let mut connection = self.connect(&self.init, streams)?;
        let pid_file = self.bundle.join(PID_FILE);
        let wiring = Wiring {
            ends: std::mem::take(&mut connection.ends),
            console: connection.console.as_ref().map(ConsoleSocket::path),
            pid_file: &pid_file,
        };
        let _hold = children::hold();
        match &self.restored_from {
            Some(image) => self.runtime.restore(image, &self.criu_work, wiring, &self.flags).await?,
            None => self.runtime.create(wiring, &self.flags).await?,
        }
        let child = match adopt(&pid_file) {
            Ok(child) => child,
            Err(error) => {
                if let Err(leftover) = self.runtime.delete(true).await {
                    log::warn!("{}", describe(&leftover));
                }
                return Err(error);
            }
        };
        let found = context.cgroups.clone().map(|layout| Cgroup::of_process(layout, child.pid));
        match found.transpose() {
            Ok(cgroup) => cgroup.into_iter().for_each(|cgroup| _ = self.cgroup.set(cgroup)),
            Err(error) => log::warn!(
                container = self.id;
                "there will be no statistics of {}: {}", self.id, describe(&error)
            ),
        }
        match self.cgroup.get().map(|cgroup| oom::Watch::begin(context, &self.id, cgroup)).transpose() {
            Ok(watch) => *lock(&self.oom) = watch.flatten(),
            Err(error) => {
                log::warn!(
                    container = self.id;
                    "there will be no event when {} is out of memory: {}", self.id, describe(&error)
                );
            }
        }
        self.attach(context, &self.init, child, connection).await;
        Ok(())
    }
}
