//! What the task service asks of a Linux container.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, ExecProcessRequest, KillRequest, ProcessInfo, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci::ProcessDetails;
use nix::libc::SIGKILL;

use super::Linux;
use super::process::LinuxProcess;
use crate::error::{Error, Result, describe};
use crate::oci::{any, mount};
use crate::os::blocking;
use crate::task::context::Context;
use crate::task::engine::{Engine, View};
use crate::task::events::Event;
use crate::task::exit::Exit;
use crate::task::state::State;

impl Linux {
    fn process(&self, exec_id: &str) -> Result<Arc<LinuxProcess>> {
        if exec_id.is_empty() {
            return Ok(Arc::clone(&self.init));
        }
        Ok(Arc::clone(&self.execs.find(&self.id, exec_id)?.process))
    }

    async fn start_init(self: &Arc<Self>, context: &Arc<Context>) -> Result<u32> {
        let _gate = self.init.gate.lock().await;
        let begin = async {
            let begun = self.begin(context).await;
            if begun.is_err() {
                self.give_up().await;
            }
            begun.map(|()| self.init.pid())
        };
        let pid = self.init.task.life.start(&*context.events, begin).await?;
        log::info!(container = self.id; "started {}, process {pid}", self.id);
        Ok(pid)
    }

    /// After a Start that failed: a process that waits for a Start which will not come is of no use.
    async fn give_up(&self) {
        if self.init.is_alive() {
            // What has ended meanwhile is what is wanted.
            let _ = self.init.signal(SIGKILL.unsigned_abs());
        } else {
            self.init.task.release();
            self.init.task.end_loggers().await;
        }
    }

    async fn signal(&self, process: &LinuxProcess, request: &KillRequest) -> Result<()> {
        let state = process.task.life.state();
        if state.is_over() {
            return Err(process.task.life.finished());
        }
        let own = request.exec_id.is_empty();
        if own && request.all {
            self.runtime.kill_all(request.signal).await?;
        } else {
            process.signal(request.signal)?;
        }
        if state == State::Paused && request.signal == SIGKILL.unsigned_abs() {
            // In a frozen cgroup of version 1 not even this signal takes effect.
            self.runtime.resume().await?;
        }
        Ok(())
    }

    async fn delete_init(&self, context: &Context) -> Result<Exit> {
        if self.init.task.life.abandon() && self.init.is_alive() {
            // What has ended meanwhile is what is wanted.
            let _ = self.init.signal(SIGKILL.unsigned_abs());
            self.init.task.wait().await;
        }
        let exit = self.init.task.life.delete()?;
        if let Err(error) = self.runtime.delete(true).await {
            log::warn!("{}", describe(&error));
        }
        let bundle = self.bundle.clone();
        let unmounted = blocking::run(move || {
            mount::unmount_all(&bundle);
            Ok(())
        });
        if let Err(error) = unmounted.await {
            log::error!("{}", describe(&error));
        }
        self.init.task.end_loggers().await;
        context.events.publish(Event::delete(&self.id, self.init.pid(), &exit));
        log::info!(container = self.id; "deleted {}", self.id);
        Ok(exit)
    }
}

#[async_trait]
impl Engine for Linux {
    fn id(&self) -> &str {
        &self.id
    }

    fn bundle(&self) -> &Path {
        &self.bundle
    }

    fn is_sandbox(&self) -> bool {
        self.sandbox
    }

    fn view(&self, exec_id: &str) -> Result<View> {
        Ok(self.process(exec_id)?.view())
    }

    async fn start(self: Arc<Self>, context: &Arc<Context>, exec_id: &str) -> Result<u32> {
        if exec_id.is_empty() {
            self.start_init(context).await
        } else {
            self.start_exec(context, exec_id).await
        }
    }

    async fn wait(&self, exec_id: &str) -> Result<Exit> {
        Ok(self.process(exec_id)?.task.wait().await)
    }

    async fn kill(&self, _: &Context, request: &KillRequest) -> Result<()> {
        let process = self.process(&request.exec_id)?;
        self.signal(&process, request).await
    }

    async fn delete(&self, context: &Context, exec_id: &str) -> Result<Exit> {
        if exec_id.is_empty() { self.delete_init(context).await } else { self.delete_exec(exec_id).await }
    }

    fn close_stdin(&self, exec_id: &str) -> Result<()> {
        self.process(exec_id)?.task.close_stdin();
        Ok(())
    }

    fn resize(&self, exec_id: &str, columns: u32, rows: u32) -> Result<()> {
        self.process(exec_id)?.task.resize(columns, rows);
        Ok(())
    }

    async fn processes(&self) -> Vec<ProcessInfo> {
        let own = self.init.pid();
        let found = if self.init.is_alive() { self.runtime.processes().await } else { Ok(Vec::new()) };
        let mut pids = found.unwrap_or_else(|error| {
            log::warn!("{}", describe(&error));
            Vec::new()
        });
        if pids.is_empty() {
            pids.push(own);
        }
        let execs: Vec<_> =
            self.execs.all().iter().map(|exec| (exec.process.pid(), exec.process.task.id.clone())).collect();
        let info = |pid: u32| {
            let mut info = ProcessInfo::new();
            info.pid = pid;
            let exec = execs.iter().find(|(exec, _)| *exec == pid);
            info.info = exec.map(|(_, id)| details(id)).into();
            info
        };
        pids.into_iter().map(info).collect()
    }

    async fn exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()> {
        self.add_exec(context, request)
    }

    async fn pause(&self, context: &Context) -> Result<()> {
        // Its program may run before the runtime has said so.
        let _gate = self.init.gate.lock().await;
        self.init.task.life.pause(&*context.events, self.runtime.pause()).await
    }

    async fn resume(&self, context: &Context) -> Result<()> {
        self.init.task.life.resume(&*context.events, self.runtime.resume()).await
    }

    async fn checkpoint(&self, context: &Context, request: &CheckpointTaskRequest) -> Result<()> {
        self.save(context, request).await
    }

    async fn update(&self, _: &Context, request: &UpdateTaskRequest) -> Result<()> {
        let path = self.bundle.join("update.json");
        // One at a time: they share the file.
        let _gate = self.init.gate.lock().await;
        std::fs::write(&path, &request.resources.value).map_err(Error::io("write", &path))?;
        self.runtime.update(&path).await
    }

    async fn stats(&self, _: &Context) -> Result<Any> {
        self.cgroup.get().ok_or(Error::NoCgroups)?.metrics().await
    }
}

fn details(exec_id: &str) -> Any {
    let mut details = ProcessDetails::new();
    exec_id.clone_into(&mut details.exec_id);
    any::pack(&details)
}
