//! What the task service asks of a container, whoever runs it. Which engine that is, is chosen once, at Create.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, ExecProcessRequest, KillRequest, ProcessInfo, UpdateTaskRequest,
};
use containerd_shim_protos::protobuf::well_known_types::any::Any;

use crate::error::Result;
use crate::stdio::Paths;
use crate::task::context::Context;
use crate::task::exit::Exit;
use crate::task::state::State;

/// A process as the service shows it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// Its process id on the host.
    pub pid: u32,
    /// Where it stands.
    pub state: State,
    /// Its streams, as Create or Exec named them.
    pub paths: Paths,
}

/// A container. An empty `exec_id` is its own process, any other one that Exec has added.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// containerd's id.
    fn id(&self) -> &str;
    /// The OCI bundle.
    fn bundle(&self) -> &Path;
    /// Whether it is its pod's sandbox, whose end is the pod's.
    fn is_sandbox(&self) -> bool;
    /// Shows a process.
    fn view(&self, exec_id: &str) -> Result<View>;
    /// Starts a process; gives its id on the host.
    async fn start(self: Arc<Self>, context: &Arc<Context>, exec_id: &str) -> Result<u32>;
    /// Waits for the end of a process.
    async fn wait(&self, exec_id: &str) -> Result<Exit>;
    /// Signals a process, or with `all` every process of the container.
    async fn kill(&self, context: &Context, request: &KillRequest) -> Result<()>;
    /// Forgets a process that has ended, and with the container's own all that it left.
    async fn delete(&self, context: &Context, exec_id: &str) -> Result<Exit>;
    /// Lets the input of a process end.
    fn close_stdin(&self, exec_id: &str) -> Result<()>;
    /// Tells the terminal of a process its size.
    fn resize(&self, exec_id: &str, columns: u32, rows: u32) -> Result<()>;
    /// Its processes. Never empty: containerd up to 2.3 takes an error or an empty list for a dead shim and kills
    /// it when it loads its tasks (`core/runtime/v2/shim_load.go`).
    async fn processes(&self) -> Vec<ProcessInfo>;
    /// Adds a process.
    async fn exec(&self, context: &Context, request: &ExecProcessRequest) -> Result<()>;
    /// Freezes it.
    async fn pause(&self, context: &Context) -> Result<()>;
    /// Lets it go on.
    async fn resume(&self, context: &Context) -> Result<()>;
    /// Writes its state down.
    async fn checkpoint(&self, context: &Context, request: &CheckpointTaskRequest) -> Result<()>;
    /// Changes its limits.
    async fn update(&self, context: &Context, request: &UpdateTaskRequest) -> Result<()>;
    /// What it uses.
    async fn stats(&self, context: &Context) -> Result<Any>;
}
