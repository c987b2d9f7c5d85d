//! RTOS firmware as an engine: one process, which is no process of the host.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, ExecProcessRequest, KillRequest, ProcessInfo, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::error::Result;
use crate::rtos::container::Container;
use crate::rtos::exec::Exec;
use crate::rtos::{checkpoint, update};
use crate::task::context::Context;
use crate::task::engine::{Engine, View};
use crate::task::exit::Exit;

impl Container {
    /// The command in its shell that is addressed, if one is.
    fn command(&self, exec_id: &str) -> Result<Option<Arc<Exec>>> {
        (!exec_id.is_empty()).then(|| self.execs.find(&self.id, exec_id)).transpose()
    }
}

#[async_trait]
impl Engine for Container {
    fn id(&self) -> &str {
        &self.id
    }

    fn bundle(&self) -> &Path {
        &self.bundle
    }

    fn is_sandbox(&self) -> bool {
        false
    }

    fn view(&self, exec_id: &str) -> Result<View> {
        let exec = self.command(exec_id)?;
        let process = exec.as_ref().map_or(&self.init, |exec| &exec.process);
        Ok(View { pid: self.pid, state: process.life.state(), paths: process.paths.clone() })
    }

    async fn start(self: Arc<Self>, context: &Arc<Context>, exec_id: &str) -> Result<u32> {
        match self.command(exec_id)? {
            Some(exec) => self.start_exec(context, exec).await,
            None => Self::start(&self, context).await.map(|()| self.pid),
        }
    }

    async fn wait(&self, exec_id: &str) -> Result<Exit> {
        Ok(match self.command(exec_id)? {
            Some(exec) => exec.process.wait().await,
            None => self.init.wait().await,
        })
    }

    async fn kill(&self, context: &Context, request: &KillRequest) -> Result<()> {
        match self.command(&request.exec_id)? {
            Some(exec) => exec.kill(&*context.events, request.signal),
            None => self.kill(context, request.signal).await,
        }
    }

    async fn delete(&self, context: &Context, exec_id: &str) -> Result<Exit> {
        match self.command(exec_id)? {
            Some(exec) => {
                let exit = exec.delete()?;
                self.execs.remove(exec_id);
                Ok(exit)
            }
            None => self.delete(context).await,
        }
    }

    /// A command in the shell has no input beyond its line.
    fn close_stdin(&self, exec_id: &str) -> Result<()> {
        if self.command(exec_id)?.is_none() {
            self.init.close_stdin();
        }
        Ok(())
    }

    /// Commands share the terminal of the shell, whose size is nobody's to set.
    fn resize(&self, exec_id: &str, columns: u32, rows: u32) -> Result<()> {
        if self.command(exec_id)?.is_none() {
            self.init.resize(columns, rows);
        }
        Ok(())
    }

    async fn processes(&self) -> Vec<ProcessInfo> {
        let mut process = ProcessInfo::new();
        // Docker shows those of them that `ps` lists, which are no threads.
        process.pid = std::process::id();
        vec![process]
    }

    async fn exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()> {
        self.add_exec(context, request).await
    }

    async fn pause(&self, context: &Context) -> Result<()> {
        self.init.life.pause(&*context.events, async { Ok(context.mica.pause(&self.id).await?) }).await
    }

    async fn resume(&self, context: &Context) -> Result<()> {
        self.init.life.resume(&*context.events, async { Ok(context.mica.resume(&self.id).await?) }).await
    }

    async fn checkpoint(&self, context: &Context, request: &CheckpointTaskRequest) -> Result<()> {
        checkpoint::save(context, self, request).await
    }

    async fn update(&self, context: &Context, request: &UpdateTaskRequest) -> Result<()> {
        update::update(context, self, request).await
    }

    async fn stats(&self, context: &Context) -> Result<Any> {
        self.stats(context).await
    }
}
