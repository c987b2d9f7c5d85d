//! An RTOS container: its state, its console and its end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use libmica::Launch;
use nix::libc::{SIGINT, SIGKILL, SIGTERM};
use tokio::net::unix::pipe::Sender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cgroup::{self, Cgroup};
use crate::error::{Error, Result, describe};
use crate::oci::resources::Resources;
use crate::os::tty::Terminal;
use crate::rtos::console;
use crate::rtos::end as exit;
use crate::rtos::exec::Execs;
use crate::rtos::plan::Plan;
use crate::rtos::shell::Shell;
use crate::rtos::state_dir::StateDir;
use crate::stdio::presence::Presence;
use crate::stdio::{self, Paths, Streams, Takers};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::{Exit, State};

/// Pause between attempts to stop an RTOS whose client is gone.
const RETRY: Duration = Duration::from_secs(1);
/// Why there are no numbers.
const NO_STATS: &str = "this mica daemon measures nothing of what it runs";

/// An RTOS container. Its id is also the client's name at the daemon.
#[derive(Debug)]
pub(crate) struct Container {
    /// containerd's id.
    pub id: String,
    /// The OCI bundle.
    pub bundle: PathBuf,
    /// Its streams, as Create named them.
    pub paths: Paths,
    /// What containerd takes for its process. No host process is the RTOS on every pedestal, so it is the
    /// shim's own, from Create to Delete.
    pub pid: u32,
    /// How it is run.
    pub plan: Plan,
    /// The limits in force.
    pub resources: tokio::sync::Mutex<Resources>,
    /// Commands for its shell.
    pub execs: Execs,
    /// Its shell, once a command has needed it; held while one runs.
    pub shell: tokio::sync::Mutex<Option<Shell>>,
    dir: StateDir,
    inner: Mutex<Inner>,
    exited: watch::Sender<Option<Exit>>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    /// The status for which the RTOS was stopped, by the first who asked for it.
    stopped_with: Option<u32>,
    /// Open streams, until the console takes them.
    streams: Option<Streams>,
    keep_stdin: Option<Sender>,
    /// Logging programs, from Create to Delete.
    takers: Takers,
    terminal: Terminal,
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
    ) -> Self {
        // Without it, the end of stdin tells that the client has left.
        let keep_stdin = streams.keep_stdin.take().filter(|_| plan.close_after.is_none());
        let takers = std::mem::take(&mut streams.takers);
        let inner = Inner {
            state: State::Created,
            stopped_with: None,
            streams: Some(streams),
            keep_stdin,
            takers,
            terminal: Terminal::default(),
        };
        Self {
            id,
            bundle,
            paths,
            pid: std::process::id(),
            resources: plan.resources.clone().into(),
            plan,
            execs: Execs::default(),
            shell: tokio::sync::Mutex::default(),
            dir,
            inner: Mutex::new(inner),
            exited: watch::Sender::new(None),
        }
    }

    /// Where it stands.
    pub(crate) fn state(&self) -> State {
        self.lock().state.clone()
    }

    /// Boots the RTOS.
    pub(crate) async fn start(self: &Arc<Self>, context: &Arc<Context>) -> Result<()> {
        self.lock().state.starting(&self.id)?;
        let result = self.boot(context).await;
        self.lock().state.started(result.is_ok());
        result?;
        log::info!("started {}", self.id);
        context.events.publish(Event::start(&self.id, self.pid));
        tokio::spawn(Arc::clone(self).supervise(Arc::clone(context)));
        Ok(())
    }

    async fn boot(&self, context: &Context) -> Result<()> {
        let cgroups = self.plan.cgroup.as_ref().map(Cgroup::join_files).transpose()?.unwrap_or_default();
        let open = |path: &PathBuf| File::open(path).map_err(Error::io("open", path));
        let snapshot = self.plan.snapshot.as_ref().map(open).transpose()?.map(OwnedFd::from);
        Ok(context.mica.start(&self.id, &Launch { cgroups, snapshot }).await?)
    }

    /// TERM, KILL and INT stop the RTOS, which knows no signals; any other is accepted and has no effect.
    pub(crate) async fn kill(&self, context: &Context, signal: u32) -> Result<()> {
        let stops = [SIGTERM, SIGKILL, SIGINT].iter().any(|s| s.unsigned_abs() == signal);
        let state = self.state();
        match state {
            State::Abandoned | State::Stopped(_) | State::Deleting(_) => {
                return Err(Error::Finished(self.id.clone()));
            }
            _ if !stops => {
                log::info!("signal {signal} for {} has no meaning to an RTOS; ignored", self.id);
                return Ok(());
            }
            State::Created => {
                self.finish(context, exit::signalled(signal));
                return Ok(());
            }
            State::Starting | State::Running | State::Paused => {}
        }
        log::info!("signal {signal} stops {}", self.id);
        self.stop(context, exit::signalled(signal).status).await
    }

    /// Stops the RTOS, which counts as an end with `status`.
    async fn stop(&self, context: &Context, status: u32) -> Result<()> {
        self.lock().stopped_with.get_or_insert(status);
        match context.mica.stop(&self.id).await {
            // It ended by itself meanwhile.
            Ok(()) | Err(libmica::Error::ClientNotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Freezes the RTOS.
    pub(crate) async fn pause(&self, context: &Context) -> Result<()> {
        self.state().check_pausable(&self.id)?;
        context.mica.pause(&self.id).await?;
        if self.lock().state.paused() {
            context.events.publish(Event::paused(&self.id));
        }
        Ok(())
    }

    /// Lets the frozen RTOS go on.
    pub(crate) async fn resume(&self, context: &Context) -> Result<()> {
        self.state().check_resumable(&self.id)?;
        context.mica.resume(&self.id).await?;
        if self.lock().state.resumed() {
            context.events.publish(Event::resumed(&self.id));
        }
        Ok(())
    }

    /// What it has used, as one of containerd's metrics messages.
    pub(crate) async fn stats(&self, context: &Context) -> Result<Any> {
        if let Some(cgroup) = &self.plan.cgroup {
            return Ok(cgroup.metrics());
        }
        match context.mica.stats(&self.id).await {
            Ok(stats) => Ok(cgroup::daemon_metrics(context.cgroups.as_ref(), &stats)),
            // Upstream's daemon measures nothing.
            Err(libmica::Error::Unsupported { .. }) => Err(Error::Unimplemented(NO_STATS)),
            Err(error) => Err(error.into()),
        }
    }

    /// Tells when it has ended, and how.
    pub(crate) fn ended(&self) -> watch::Receiver<Option<Exit>> {
        self.exited.subscribe()
    }

    /// Waits for the end.
    pub(crate) async fn wait(&self) -> Exit {
        exit::known(&self.exited).await
    }

    /// Takes the client and the files away. A task that never ran is ended first.
    pub(crate) async fn delete(&self, context: &Context) -> Result<Exit> {
        let abandoned = self.lock().state.abandoned();
        if abandoned {
            self.finish(context, exit::signalled(SIGKILL.unsigned_abs()));
        }
        let (exit, takers) = {
            let mut inner = self.lock();
            inner.state.deleting(&self.id)?;
            inner.terminal.close();
            (inner.state.exit().cloned(), std::mem::take(&mut inner.takers))
        };
        let exit = exit.unwrap_or_else(|| exit::signalled(SIGKILL.unsigned_abs()));
        if let Err(error) = context.mica.remove(&self.id).await {
            log::warn!("the daemon did not remove {}: {}", self.id, describe(&error));
        }
        if let Some(cgroup) = &self.plan.cgroup {
            cgroup.remove().await;
        }
        if let Err(error) = self.dir.remove() {
            log::warn!("{}", describe(&error));
        }
        takers.finish().await;
        context.events.publish(Event::delete(&self.id, self.pid, &exit));
        log::info!("deleted {}", self.id);
        Ok(exit)
    }

    /// Lets stdin end when its writers have gone.
    pub(crate) fn close_stdin(&self) {
        self.lock().keep_stdin = None;
    }

    /// Tells the console its size.
    pub(crate) fn resize(&self, columns: u32, rows: u32) {
        self.lock().terminal.resize(&self.id, columns, rows);
    }

    /// From start to end: carries the console's bytes, learns the exit, reports it after the last byte.
    async fn supervise(self: Arc<Self>, context: Arc<Context>) {
        let (end, ended) = watch::channel(false);
        let (client, closing) = self.auto_close(&context).unzip();
        let console = tokio::spawn(Arc::clone(&self).carry_console(Arc::clone(&context), client, ended));
        let report = exit::wait(&*context.mica, &self.id).await;
        if let Some(closing) = closing {
            closing.abort();
        }
        let asked = self.lock().stopped_with;
        let exit = report.exit(asked);
        log::info!("{} ended with status {}: {}", self.id, exit.status, report.detail);
        // Cannot fail but for a console that has ended already.
        let _ = end.send(true);
        match console.await {
            Ok(lost) => exit::tell_lost(&self.id, lost),
            Err(error) => log::error!("the console of {} died: {error}", self.id),
        }
        let mut takers = std::mem::take(&mut self.lock().takers);
        takers.written().await;
        self.lock().takers = takers;
        // Its commands end with it, and before it.
        self.execs.end_all(&context, &self).await;
        if self.plan.cgroup.as_ref().is_some_and(|cgroup| cgroup.oom_kills() > 0) {
            log::error!(
                "{} needed more memory than its limit allows: the kernel has killed its emulator",
                self.id
            );
            context.events.publish(Event::oom(&self.id));
        }
        self.finish(&context, exit);
    }

    /// Gives how many bytes were lost because nobody took them.
    async fn carry_console(
        self: Arc<Self>,
        context: Arc<Context>,
        client: Option<Arc<Presence>>,
        mut ended: watch::Receiver<bool>,
    ) -> u64 {
        // The streams live here: they close, and the client sees the end, when this is over.
        let Some(Streams { stdin, stdout, stderr: _stderr, .. }) = self.lock().streams.take() else {
            return 0;
        };
        let Some(tty) = console::open(&*context.mica, &self.id, &ended).await else {
            // Cannot fail but for a sender that is gone, which is an end as well.
            let _ = ended.wait_for(|ended| *ended).await;
            return 0;
        };
        let tty = Arc::new(tty);
        self.lock().terminal.opened(&self.id, Arc::clone(&tty));
        let input = stdin.map(|stdin| tokio::spawn(console::copy_in(Arc::clone(&tty), stdin, client)));
        let lost = stdio::carry(&self.id, &*tty, stdout.as_ref(), ended).await;
        if let Some(input) = input {
            input.abort();
        }
        lost
    }

    /// If an annotation asks for it, stops the RTOS once its client has been away for a while.
    fn auto_close(self: &Arc<Self>, context: &Arc<Context>) -> Option<(Arc<Presence>, JoinHandle<()>)> {
        let time = self.plan.close_after?;
        let client = Arc::new(Presence::new());
        let (this, context, presence) = (Arc::clone(self), Arc::clone(context), Arc::clone(&client));
        let closing = tokio::spawn(async move {
            presence.absent_for(time).await;
            log::info!("{} is closed: its client has been away for {time:?}", this.id);
            while let Err(error) = this.stop(&context, 0).await {
                log::warn!("cannot stop {}: {}; trying again", this.id, describe(&error));
                tokio::time::sleep(RETRY).await;
            }
        });
        Some((client, closing))
    }

    /// Makes the end known, once.
    fn finish(&self, context: &Context, exit: Exit) {
        {
            let mut inner = self.lock();
            inner.streams = None;
            inner.keep_stdin = None;
            if !inner.state.stopped(exit.clone()) {
                return;
            }
        }
        context.events.publish(Event::exit(&self.id, &self.id, self.pid, &exit));
        self.exited.send_replace(Some(exit));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
