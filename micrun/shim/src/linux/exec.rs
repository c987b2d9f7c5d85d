//! Further processes of a container.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use containerd_shim_protos::api::ExecProcessRequest;

use super::create::adopt;
use super::process::Process;
use super::runtime::Wiring;
use super::terminal::ConsoleSocket;
use super::{Linux, Plumbing};
use crate::error::{Error, Result};
use crate::os::children;
use crate::service::choose::check_name;
use crate::stdio::{Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::state::{Exit, State};

/// A process that Exec has added: what it is to run waits for Start.
#[derive(Debug)]
pub(super) struct Exec {
    process: Arc<Process>,
    /// OCI's `process`, in JSON, as it came.
    specification: Vec<u8>,
}

/// The processes besides the container's own, by id.
#[derive(Debug, Default)]
pub(super) struct Execs(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    execs: BTreeMap<String, Arc<Exec>>,
    /// The container's own process has ended: no other begins any more.
    closed: bool,
}

impl Execs {
    /// A process that was added.
    pub(super) fn find(&self, container: &str, id: &str) -> Result<Arc<Exec>> {
        let missing = || Error::NoSuchExec { id: container.to_owned(), exec_id: id.to_owned() };
        self.lock().execs.get(id).cloned().ok_or_else(missing)
    }

    /// Its process.
    pub(super) fn process(&self, container: &str, id: &str) -> Result<Arc<Process>> {
        Ok(Arc::clone(&self.find(container, id)?.process))
    }

    /// Lets no other begin; gives those that are there.
    pub(super) fn close(&self) -> Vec<Arc<Process>> {
        self.lock().closed = true;
        self.processes()
    }

    /// Those that are there.
    pub(super) fn processes(&self) -> Vec<Arc<Process>> {
        self.lock().execs.values().map(|exec| Arc::clone(&exec.process)).collect()
    }

    fn remove(&self, id: &str) {
        self.lock().execs.remove(id);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Linux {
    /// Takes what is to be run by Start.
    pub(super) fn add_exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()> {
        check_name("exec", &request.exec_id)?;
        check(&self.init.state(), &self.id)?;
        let specification = request.spec.value.clone();
        let paths = Paths::from(request);
        let process = Arc::new(Process::new(&request.exec_id, paths));
        match self.execs.lock().execs.entry(request.exec_id.clone()) {
            Entry::Occupied(_) => {
                return Err(Error::AlreadyExists(format!("{}` of container `{}", request.exec_id, self.id)));
            }
            Entry::Vacant(entry) => _ = entry.insert(Arc::new(Exec { process, specification })),
        }
        context.events.publish(Event::exec_added(&self.id, &request.exec_id));
        Ok(())
    }

    /// Runs what was added; gives its process id.
    pub(super) async fn start_exec(self: &Arc<Self>, context: &Arc<Context>, id: &str) -> Result<u32> {
        let exec = self.execs.find(&self.id, id)?;
        let process = &exec.process;
        let _gate = process.gate.lock().await;
        check(&self.init.state(), &self.id)?;
        if self.execs.lock().closed {
            return Err(Error::Finished(self.id.clone()));
        }
        process.lock().state.starting(id)?;
        let result = self.run_exec(context, &exec).await;
        process.lock().state.started(result.is_ok());
        if result.is_err() {
            let takers = std::mem::take(&mut process.lock().takers);
            takers.finish().await;
        }
        let pid = result?;
        context.events.publish(Event::exec_started(&self.id, id, pid));
        Ok(pid)
    }

    async fn run_exec(self: &Arc<Self>, context: &Arc<Context>, exec: &Exec) -> Result<u32> {
        let process = &exec.process;
        let identity = Identity { namespace: &context.namespace, id: &self.id };
        let streams = Streams::open(&process.paths, identity).await?;
        let Plumbing { ends, console, carriage, streams } = self.plumb(process, streams)?;
        let pid_file = self.bundle.join(format!("exec-{}.pid", process.id));
        let specification = self.bundle.join(format!("exec-{}.json", process.id));
        std::fs::write(&specification, &exec.specification).map_err(Error::io("write", &specification))?;
        let wiring = Wiring { ends, console: console.as_ref().map(ConsoleSocket::path), pid_file: &pid_file };
        let _hold = children::hold();
        let ran = self.runtime.exec(&specification, wiring).await;
        let child = ran.and_then(|()| adopt(&pid_file));
        for path in [specification, pid_file] {
            // The second is not there when the first was refused.
            let _ = std::fs::remove_file(path);
        }
        let child = child?;
        let pid = child.pid;
        self.attach(context, process, child, (console, carriage, streams)).await;
        Ok(pid)
    }

    /// Forgets a process that has ended, or never begun.
    pub(super) async fn delete_exec(&self, id: &str) -> Result<Exit> {
        let process = self.execs.process(&self.id, id)?;
        let (exit, takers) = {
            let mut inner = process.lock();
            inner.state.deleting(id)?;
            (inner.state.exit().cloned(), std::mem::take(&mut inner.takers))
        };
        takers.finish().await;
        self.execs.remove(id);
        Ok(exit.unwrap_or_else(never_ran))
    }
}

/// The end of what never began.
pub(super) fn never_ran() -> Exit {
    crate::rtos::end::signalled(nix::libc::SIGKILL.unsigned_abs())
}

/// Whether a further process can be run in a container of this state.
fn check(state: &State, id: &str) -> Result<()> {
    match state {
        State::Created | State::Starting | State::Running => Ok(()),
        State::Abandoned | State::Stopped(_) | State::Deleting(_) => Err(Error::Finished(id.to_owned())),
        State::Paused => Err(state.refuse(id, "given another process")),
    }
}
