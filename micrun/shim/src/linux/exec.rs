//! Further processes of a container.

use std::sync::Arc;

use containerd_shim_protos::api::ExecProcessRequest;
use micrun_trace::Current;

use super::Linux;
use super::process::LinuxProcess;
use super::runtime::{Wiring, adopt};
use super::terminal::ConsoleSocket;
use crate::error::{Error, Result};
use crate::oci::{environment, names};
use crate::os::children;
use crate::stdio::{Identity, Paths, Streams};
use crate::task::context::Context;
use crate::task::events::Event;
use crate::task::exit::Exit;
use crate::task::state::{Attempt, State};

/// A process that Exec has added: what it is to run waits for Start.
#[derive(Debug)]
pub(super) struct Exec {
    pub process: Arc<LinuxProcess>,
    /// OCI's `process`, in JSON, as it came.
    specification: Vec<u8>,
}

impl Linux {
    /// Takes what is to be run by Start.
    pub(super) fn add_exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()> {
        names::check("exec", &request.exec_id)?;
        self.check_exec()?;
        self.execs.add(&self.id, &request.exec_id, || Exec {
            process: Arc::new(LinuxProcess::new(&self.id, &request.exec_id, Paths::from(request))),
            specification: request.spec.value.clone(),
        })?;
        context.events.publish(Event::exec_added(&self.id, &request.exec_id));
        Ok(())
    }

    /// Runs what was added; gives its process id.
    pub(super) async fn start_exec(self: &Arc<Self>, context: &Arc<Context>, id: &str) -> Result<u32> {
        let exec = self.execs.find(&self.id, id)?;
        let task = &exec.process.task;
        let _gate = exec.process.gate.lock().await;
        self.check_exec()?;
        if self.execs.is_closed() {
            return Err(self.init.task.life.finished());
        }
        let run = async {
            let ran = self.run_exec(context, &exec).await;
            if ran.is_err() {
                task.release();
                task.end_loggers().await;
            }
            ran
        };
        task.life.start(&*context.events, run).await
    }

    async fn run_exec(self: &Arc<Self>, context: &Arc<Context>, exec: &Exec) -> Result<u32> {
        let process = &exec.process;
        let identity = Identity { namespace: &context.namespace, id: &self.id };
        let streams = Streams::open(&process.task.paths, identity).await?;
        let mut connection = self.connect(process, streams)?;
        let pid_file = self.bundle.join(format!("exec-{}.pid", process.task.id));
        let specification = self.bundle.join(format!("exec-{}.json", process.task.id));
        let traced = environment::add_to_process(&exec.specification, &Current::here().variables());
        let text = traced.as_ref().unwrap_or(&exec.specification);
        std::fs::write(&specification, text).map_err(Error::io("write", &specification))?;
        let wiring = Wiring {
            ends: std::mem::take(&mut connection.ends),
            console: connection.console.as_ref().map(ConsoleSocket::path),
            pid_file: &pid_file,
        };
        let _hold = children::hold();
        let ran = self.runtime.exec(&specification, wiring).await;
        let child = ran.and_then(|()| adopt(&pid_file));
        for path in [specification, pid_file] {
            // The second is not there when the first was refused.
            let _ = std::fs::remove_file(path);
        }
        let child = child?;
        let pid = child.pid;
        self.attach(context, process, child, connection).await;
        Ok(pid)
    }

    /// Forgets a process that has ended, or never begun.
    pub(super) async fn delete_exec(&self, id: &str) -> Result<Exit> {
        let process = Arc::clone(&self.execs.find(&self.id, id)?.process);
        let exit = process.task.life.delete()?;
        process.task.end_loggers().await;
        self.execs.remove(id);
        Ok(exit)
    }

    /// Whether a further process can be run.
    fn check_exec(&self) -> Result<()> {
        let life = &self.init.task.life;
        match life.state() {
            State::Created | State::Starting | State::Running => Ok(()),
            State::Paused => life.check(Attempt::Exec),
            State::Abandoned | State::Stopped(_) | State::Deleting(_) => Err(life.finished()),
        }
    }
}
