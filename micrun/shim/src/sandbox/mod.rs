//! The Sandbox API (`containerd.runtime.sandbox.v1`): a pod whose namespaces are held by a process of ours instead of a
//! pause container.
//!
//! containerd writes the holder's process id into the namespace paths of the containers (`internal/cri/opts`,
//! `WithPodNamespaces`), which the Task service then makes as in any other pod. When the sandbox ends, they end; and it
//! is only said to have ended once they have, so that nothing is left in its network namespace.
//! It may use `service` and what lies below it; `entry` uses it.

mod config;
mod files;
mod hold;
mod holder;
mod service;
mod status;
mod sys;
mod sysctl;
mod users;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use containerd_shim_protos::sandbox_api::CreateSandboxRequest;
use nix::libc::SIGKILL;

use crate::error::{Error, Result};
use crate::oci::names;
use crate::os::blocking;
use crate::os::children::Child;
use crate::os::lock::lock;
use crate::service::pod;
use crate::task::containers::{Containers, Slot};
use crate::task::context::Context;
use crate::task::exit::Exit;
use crate::task::life::Life;
use crate::task::subject::Subject;
use config::{Config, Mode};
pub(crate) use files::Files;
pub(crate) use hold::run as hold;
use holder::Holder;
pub(crate) use service::SandboxService;
pub(crate) use users::enter;

/// A sandbox. It takes its id among the containers, so that none has the same, and the shim stays for it.
pub(crate) struct Sandbox {
    id: String,
    config: Config,
    network: Option<PathBuf>,
    created_at: SystemTime,
    life: Life,
    held: Mutex<Held>,
    _slot: Slot,
}

/// The process that holds the namespaces.
#[derive(Default)]
struct Held {
    /// Its id; 0 before the sandbox has started.
    pid: u32,
    /// As long as it runs.
    holder: Option<(Arc<Child>, OwnedFd)>,
    /// Until the sandbox is forgotten.
    _files: Option<Files>,
}

impl Sandbox {
    /// Takes in what is asked for; nothing is made before Start.
    fn create(containers: &Arc<Containers>, request: CreateSandboxRequest) -> Result<Self> {
        names::check("sandbox", &request.sandbox_id)?;
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
        Ok(Self {
            _slot: containers.occupy(&request.sandbox_id)?,
            life: Life::new(Subject::Sandbox(request.sandbox_id.clone())),
            id: request.sandbox_id,
            config,
            network,
            created_at: SystemTime::now(),
            held: Mutex::default(),
        })
    }

    /// Starts the holder; gives its process id.
    async fn start(self: &Arc<Self>, context: &Arc<Context>, containers: &Arc<Containers>) -> Result<u32> {
        let holder = async {
            let (files, config) = (Files::of(&context.state_root, &self.id), self.config.clone());
            let (files, shared) = blocking::run(move || files.make(&config)).await?;
            let Holder { child, stdin } = Holder::start(&self.config, self.network.clone(), &self.id).await?;
            let child = Arc::new(child);
            let pid = child.pid;
            *lock(&self.held) = Held { pid, holder: Some((Arc::clone(&child), stdin)), _files: Some(files) };
            // Cannot be there: a shim has one sandbox, which starts once.
            let _ = context.shared.set(shared);
            let (this, context, containers) = (Arc::clone(self), Arc::clone(context), Arc::clone(containers));
            tokio::spawn(async move {
                let exit = child.wait().await.map_or_else(|_| Exit::unknown(), Exit::from);
                this.ended(&context, &containers, exit).await;
            });
            Ok(pid)
        };
        let pid = self.life.start(&*context.events, holder).await?;
        log::info!(container = self.id; "the sandbox {} runs, process {pid}", self.id);
        Ok(pid)
    }

    /// The holder is gone, asked for or not.
    async fn ended(&self, context: &Context, containers: &Containers, exit: Exit) {
        lock(&self.held).holder = None;
        pod::end_all(context, containers, Duration::ZERO).await;
        log::info!(container = self.id; "the sandbox {} ended with status {}", self.id, exit.status);
        self.finish(context, exit);
    }

    fn finish(&self, context: &Context, exit: Exit) {
        let pid = lock(&self.held).pid;
        self.life.finish(&*context.events, pid, exit);
    }

    /// Ends the containers, then the holder. What has ended already is no error. With `grace` the containers are asked
    /// first.
    async fn stop(&self, context: &Context, containers: &Containers, grace: Duration) {
        pod::end_all(context, containers, grace).await;
        let (pid, holder) = {
            let mut held = lock(&self.held);
            (held.pid, held.holder.take())
        };
        match holder {
            // Its stdin goes as well; the signal is for one that does not notice any more.
            Some((child, _stdin)) => {
                let _ = child.signal(SIGKILL.unsigned_abs());
            }
            // It was never started.
            None if pid == 0 => self.finish(context, Exit::now(0)),
            None => {}
        }
        self.wait().await;
    }

    /// Waits for the end.
    async fn wait(&self) -> Exit {
        self.life.wait().await
    }
}
