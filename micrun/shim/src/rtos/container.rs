//! An RTOS container: a client of the mica daemon, with the console as its streams.

use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use libmica::Launch;
use micrun_firmware::annotations::Ready;
use micrun_firmware::{Sha256Digest, memory_file};
use tokio::sync::oneshot;

use super::end::{is_final, stops};
use super::exec::Exec;
use super::firmware::Firmware;
use super::plan::Plan;
use super::shell::Shell;
use super::state_dir::StateDir;
use super::stops::Stops;
use super::supervise::Beginning;
use super::terminal::Console;
use crate::cgroup::{self, Cgroup};
use crate::error::{Error, Result, describe};
use crate::oci::resources::Resources;
use crate::os::blocking;
use crate::os::lock::lock;
use crate::os::netns::NetworkNamespace;
use crate::stdio::tap::Tap;
use crate::stdio::{Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::execs::Execs;
use crate::task::exit::Exit;
use crate::task::process::Process;
use crate::task::state::State;

/// Why there are no numbers.
const NO_STATS: &str = "this mica daemon does not measure what it runs";

/// An RTOS container. Its id is also the client's name at the daemon.
#[derive(Debug)]
pub(crate) struct Container {
    /// containerd's id.
    pub id: String,
    /// The OCI bundle.
    pub bundle: PathBuf,
    /// The RTOS itself, as a process.
    pub init: Process,
    /// What containerd takes for its process id. No host process is the RTOS on every pedestal, so it is the
    /// shim's own, from Create to Delete, or that of its thread in `network`.
    pub pid: u32,
    /// A network namespace of its own, if it was asked for: Docker looks for it by the process id.
    _network: Option<NetworkNamespace>,
    /// How it is run.
    pub plan: Plan,
    /// The limits in force.
    pub resources: tokio::sync::Mutex<Resources>,
    /// Commands for its shell.
    pub execs: Execs<Exec>,
    /// Its shell, once a command has needed it; held while one runs.
    pub shell: tokio::sync::Mutex<Option<Shell>>,
    /// Whether no shell has answered on the second terminal, if there is one.
    pub second_is_mute: AtomicBool,
    /// Those who listen to the console.
    pub tap: Arc<Tap>,
    /// The console, while it is relayed.
    console: Mutex<Option<Console>>,
    dir: StateDir,
    /// Who has asked for its end.
    stops: Stops,
    /// Open streams, until the console takes them.
    streams: Mutex<Option<Streams>>,
}

impl Container {
    /// A container whose client the daemon knows and whose streams are open.
    pub(crate) fn new(
        id: String,
        bundle: PathBuf,
        paths: Paths,
        plan: Plan,
        dir: StateDir,
        mut streams: Streams,
        network: Option<NetworkNamespace>,
    ) -> Self {
        let init = Process::new(&id, "", paths);
        init.keep(&mut streams);
        if plan.prompt.is_some() {
            init.watch_stdin(&streams);
        }
        if plan.close_after.is_some() {
            // The end of stdin then tells that the client has left.
            init.close_stdin();
        }
        let awaited = match &plan.ready {
            Some(Ready::Console(text)) => Some(text.as_str()),
            _ => None,
        };
        Self {
            tap: Arc::new(Tap::new(awaited)),
            console: Mutex::default(),
            second_is_mute: AtomicBool::new(false),
            id,
            bundle,
            init,
            pid: network.as_ref().map_or_else(std::process::id, NetworkNamespace::id),
            _network: network,
            resources: plan.resources.clone().into(),
            plan,
            execs: Execs::default(),
            shell: tokio::sync::Mutex::default(),
            dir,
            stops: Stops::default(),
            streams: Mutex::new(Some(streams)),
        }
    }

    /// Boots the RTOS, and waits until it is ready if an annotation says when that is.
    pub(crate) async fn start(self: &Arc<Self>, context: &Arc<Context>) -> Result<()> {
        let (report, ended) = oneshot::channel();
        // Dropped when Start has succeeded or failed: only then may its end be told.
        let (_answered, answer) = oneshot::channel();
        let boot = async {
            let booted = self.boot(context).await;
            if booted.is_err() {
                self.give_up_streams();
            }
            let pid = booted?;
            tokio::spawn(Arc::clone(self).leave_firmware(Arc::clone(context)));
            let beginning = Beginning { report, answer };
            tokio::spawn(Arc::clone(self).supervise(Arc::clone(context), beginning));
            self.until_ready(context, ended).await?;
            Ok(pid)
        };
        self.init.life.start(&*context.events, boot).await?;
        log::info!(container = self.id; "started {}", self.id);
        if self.plan.ready.is_none() {
            tokio::spawn(Arc::clone(self).report_silence(Arc::clone(context)));
        }
        Ok(())
    }

    async fn boot(&self, context: &Context) -> Result<u32> {
        let cgroups = self.plan.cgroup.as_ref().map(Cgroup::join_files).transpose()?.unwrap_or_default();
        let (firmware, snapshot) = (self.plan.firmware.as_ref(), self.plan.snapshot.as_ref());
        let launch = Launch {
            cgroups,
            snapshot: snapshot
                .map(|file| file.try_clone().map(OwnedFd::from))
                .transpose()
                .map_err(Error::io("share", "the state of the checkpoint"))?,
            patched: self.plan.patched.map(digest_file).transpose()?,
            firmware: firmware
                .map(Firmware::share)
                .transpose()
                .map_err(Error::io("share", "the firmware"))?,
            oom_score: self.plan.oom_score,
        };
        context.mica.start(&self.id, &launch).await?;
        Ok(self.pid)
    }

    /// Leaves the firmware's bytes to the emulator. Without that, they are there twice.
    async fn leave_firmware(self: Arc<Self>, context: Arc<Context>) {
        // Without an answer, or a process, nothing is known of a copy.
        let pid = context.mica.stats(&self.id).await.map_or(0, |stats| stats.pid);
        let id = self.id.clone();
        let leave = move || match self.plan.firmware.as_ref().filter(|_| pid > 0) {
            Some(firmware) => firmware.leave_to(pid).map_err(Error::io("share", "the emulator's firmware")),
            None => Ok(()),
        };
        if let Err(error) = blocking::run(leave).await {
            log::warn!(container = id; "{id}: its firmware takes its memory twice: {}", describe(&error));
        }
    }

    /// TERM, KILL and INT stop the RTOS, which knows no signals; any other is accepted and has no effect. TERM and INT ask
    /// it to end if there is a way to: its end then is its own.
    pub(crate) async fn kill(&self, context: &Context, signal: u32) -> Result<()> {
        let state = self.init.life.state();
        match state {
            State::Abandoned | State::Stopped(_) | State::Deleting(_) => {
                return Err(self.init.life.finished());
            }
            _ if !stops(signal) => {
                log::info!(
                    container = self.id;
                    "ignored signal {signal} for {}: an RTOS knows no signals", self.id
                );
                return Ok(());
            }
            State::Created => {
                self.finish(context, Exit::signalled(signal));
                return Ok(());
            }
            State::Running if self.plan.can_be_asked && !is_final(signal) => {
                log::info!(container = self.id; "signal {signal} asks {} to end", self.id);
                return match context.mica.shutdown(&self.id).await {
                    // It ended by itself meanwhile.
                    Err(libmica::Error::ClientNotFound { .. }) => Ok(()),
                    asked => Ok(asked?),
                };
            }
            State::Starting | State::Running | State::Paused => {}
        }
        log::info!(container = self.id; "signal {signal} stops {}", self.id);
        self.stop(context, Exit::signalled(signal).status).await
    }

    /// Stops the RTOS, which counts as an end with `status`, unless the daemon refuses.
    pub(super) async fn stop(&self, context: &Context, status: u32) -> Result<()> {
        let ticket = self.stops.ask(status);
        match context.mica.stop(&self.id).await {
            // It ended by itself meanwhile.
            Ok(()) | Err(libmica::Error::ClientNotFound { .. }) => Ok(()),
            Err(error) => {
                match error {
                    libmica::Error::Timeout { .. }
                    | libmica::Error::Io { .. }
                    | libmica::Error::MalformedReply { .. } => self.stops.unanswered(ticket),
                    _ => self.stops.refused(ticket),
                }
                Err(error.into())
            }
        }
    }

    /// The status for which it was stopped, if it was.
    pub(super) fn stopped_with(&self) -> Option<u32> {
        self.stops.status()
    }

    /// Its streams, for the one who relays them.
    pub(super) fn take_streams(&self) -> Option<Streams> {
        lock(&self.streams).take()
    }

    /// Its console, while it is relayed.
    pub(super) fn console(&self) -> Option<Console> {
        lock(&self.console).clone()
    }

    /// The console is relayed from now on, or no more.
    pub(super) fn set_console(&self, console: Option<Console>) {
        *lock(&self.console) = console;
    }

    /// What it has used, as one of containerd's metrics messages.
    pub(crate) async fn stats(&self, context: &Context) -> Result<Any> {
        if let Some(cgroup) = &self.plan.cgroup {
            return cgroup.metrics().await;
        }
        match context.mica.stats(&self.id).await {
            Ok(stats) => Ok(cgroup::daemon_metrics(context.cgroups.as_ref(), &stats)),
            // Upstream's daemon measures nothing.
            Err(libmica::Error::Unsupported { .. }) => Err(Error::Unimplemented(NO_STATS)),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the client and the files away. A task that never ran is ended first.
    pub(crate) async fn delete(&self, context: &Context) -> Result<Exit> {
        if self.init.life.abandon() {
            self.finish(context, Exit::killed());
        }
        let exit = self.init.life.delete()?;
        self.init.release();
        if let Err(error) = context.mica.remove(&self.id).await {
            log::warn!(container = self.id; "the daemon did not remove {}: {}", self.id, describe(&error));
        }
        if let Some(firmware) = &self.plan.firmware {
            firmware.discard().await;
        }
        if let Some(cgroup) = &self.plan.cgroup {
            cgroup.remove().await;
        }
        let dir = self.dir.clone();
        if let Err(error) = blocking::run(move || dir.remove()).await {
            log::warn!("{}", describe(&error));
        }
        self.init.end_loggers().await;
        context.events.publish(Event::delete(&self.id, self.pid, &exit));
        log::info!(container = self.id; "deleted {}", self.id);
        Ok(exit)
    }

    /// Makes the end known, once.
    pub(super) fn finish(&self, context: &Context, exit: Exit) {
        self.give_up_streams();
        self.init.life.finish(&*context.events, self.pid, exit);
    }

    fn give_up_streams(&self) {
        *lock(&self.streams) = None;
        self.init.end_stdin();
    }
}

/// A digest in a sealed memory file, as the daemon takes it.
fn digest_file(digest: Sha256Digest) -> Result<OwnedFd> {
    let wrong = || Error::io("write", "the digest of the patch");
    let mut file = memory_file::create().map_err(wrong())?;
    file.write_all(digest.to_string().as_bytes()).and_then(|()| file.rewind()).map_err(wrong())?;
    memory_file::seal(&file).map_err(wrong())?;
    Ok(file.into())
}
