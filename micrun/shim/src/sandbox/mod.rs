//! The Sandbox API (`containerd.runtime.sandbox.v1`): a pod whose namespaces are held by a process of ours instead of a
//! pause container.
//!
//! containerd writes the holder's process id into the namespace paths of the containers (`internal/cri/opts`,
//! `WithPodNamespaces`), which then are made by the Task service as in any other pod. When the sandbox ends, they do;
//! and it is only said to have ended once they have, so that nothing is left in its network namespace.

mod config;
mod hold;
mod holder;
mod service;
mod status;
mod sysctl;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::sandbox_api::CreateSandboxRequest;
use nix::libc::{SIGKILL, SIGTERM};
use tokio::sync::watch;

use crate::error::{Error, Result};
use crate::os::children::Child;
use crate::rtos::end as exit;
use crate::service::choose::check_name;
use crate::service::pod;
use crate::task::containers::{Containers, Slot};
use crate::task::context::Context;
use crate::task::state::{Exit, State};
use config::{Config, Mode};
pub(crate) use hold::run as hold;
use holder::Holder;
pub(crate) use service::SandboxService;

/// Longest that what was killed may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(10);
/// Status when the holder's end could not be learned.
const UNKNOWN: u32 = 255;

/// A sandbox. It takes its id among the containers, so that none has the same, and the shim stays for it.
pub(crate) struct Sandbox {
    id: String,
    config: Config,
    network: Option<PathBuf>,
    created_at: SystemTime,
    inner: Mutex<Inner>,
    exited: watch::Sender<Option<Exit>>,
    _slot: Slot,
}

struct Inner {
    state: State,
    pid: u32,
    holder: Option<(Arc<Child>, OwnedFd)>,
}

impl Sandbox {
    /// Takes in what is asked for; nothing is made before Start.
    fn create(containers: &Arc<Containers>, request: CreateSandboxRequest) -> Result<Self> {
        check_name("sandbox", &request.sandbox_id)?;
        if !request.rootfs.is_empty() {
            return Err(Error::Unimplemented(
                "a sandbox of micrun has no root file system: leave `rootfs` empty",
            ));
        }
        let config = Config::read(request.options.get_or_default())?;
        let network = Some(PathBuf::from(request.netns_path)).filter(|path| !path.as_os_str().is_empty());
        // Never made when not asked: without a path the pod is in the machine's network, whatever CRI's options say.
        let config = if network.is_none() { Config { network: Mode::Node, ..config } } else { config };
        sysctl::check(&config, network.is_some())?;
        let inner = Inner { state: State::Created, pid: 0, holder: None };
        Ok(Self {
            _slot: containers.reserve(&request.sandbox_id)?,
            id: request.sandbox_id,
            config,
            network,
            created_at: SystemTime::now(),
            inner: Mutex::new(inner),
            exited: watch::Sender::new(None),
        })
    }

    /// Starts the holder; gives its process id.
    async fn start(self: &Arc<Self>, context: &Arc<Context>, containers: &Arc<Containers>) -> Result<u32> {
        self.lock().state.starting(&self.id)?;
        let started = Holder::start(&self.config, self.network.clone(), &self.id).await;
        let (pid, child) = {
            let mut inner = self.lock();
            inner.state.started(started.is_ok());
            let Holder { child, leash } = started?;
            let child = Arc::new(child);
            inner.pid = child.pid;
            inner.holder = Some((Arc::clone(&child), leash));
            (child.pid, child)
        };
        log::info!("the sandbox {} runs, process {pid}", self.id);
        let (this, context, containers) = (Arc::clone(self), Arc::clone(context), Arc::clone(containers));
        tokio::spawn(async move {
            let status = child.wait().await.unwrap_or(UNKNOWN);
            this.ended(&context, &containers, Exit { status, at: SystemTime::now() }).await;
        });
        Ok(pid)
    }

    /// The holder is gone, asked for or not.
    async fn ended(&self, context: &Context, containers: &Containers, exit: Exit) {
        self.lock().holder = None;
        pod::end(context, containers, SIGKILL, LAST_MOMENTS).await;
        log::info!("the sandbox {} ended with status {}", self.id, exit.status);
        self.finish(exit);
    }

    fn finish(&self, exit: Exit) {
        if self.lock().state.stopped(exit.clone()) {
            self.exited.send_replace(Some(exit));
        }
    }

    /// Ends the containers, then the holder. What has ended already is no error. With `grace` the containers are asked
    /// first.
    async fn stop(&self, context: &Context, containers: &Containers, grace: Duration) {
        if !grace.is_zero() {
            pod::end(context, containers, SIGTERM, grace).await;
        }
        pod::end(context, containers, SIGKILL, LAST_MOMENTS).await;
        let holder = self.lock().holder.take();
        match holder {
            // Its leash goes as well; the signal is for one that does not notice any more.
            Some((child, _leash)) => {
                let _ = child.signal(SIGKILL.unsigned_abs());
            }
            // It was never started.
            None if self.lock().pid == 0 => self.finish(Exit { status: 0, at: SystemTime::now() }),
            None => {}
        }
        self.wait().await;
    }

    /// Waits for the end.
    async fn wait(&self) -> Exit {
        exit::known(&self.exited).await
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
