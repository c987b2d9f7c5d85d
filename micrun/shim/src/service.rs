//! The Task service: every rpc, written out, so that "no" is UNIMPLEMENTED and not ttrpc's `NOT_FOUND`.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ProcessInfo, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest,
    StartResponse, StateRequest, StateResponse, StatsRequest, StatsResponse, UpdateTaskRequest, WaitRequest,
    WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use tokio::sync::Notify;

use crate::container::Container;
use crate::containers::Containers;
use crate::context::Context;
use crate::error::{Error, Result, describe};
use crate::exec::{self, Exec};
use crate::{checkpoint, create, update};

/// The containers of this shim and the rpcs on them.
pub(crate) struct TaskService {
    context: Arc<Context>,
    containers: Arc<Containers>,
    shutdown: Arc<Notify>,
}

impl TaskService {
    /// A service without containers; `shutdown` is notified when containerd wants the process to end.
    pub(crate) fn new(context: Arc<Context>, shutdown: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { context, containers: Arc::default(), shutdown })
    }

    /// A container, and the command in it that is addressed, if one is.
    fn process(&self, id: &str, exec_id: &str) -> Result<(Arc<Container>, Option<Arc<Exec>>)> {
        let container = self.containers.find(id)?;
        if exec_id.is_empty() {
            return Ok((container, None));
        }
        let exec = container.execs.find(id, exec_id)?;
        Ok((container, Some(exec)))
    }
}

/// Runs work to its end even if the caller's deadline passes: ttrpc drops a handler then, and half a state
/// change is worse than a late one.
async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> ttrpc::Result<T> {
    let result = tokio::spawn(work).await.map_err(Error::from).flatten();
    if let Err(error) = &result {
        log::warn!("{}", describe(error));
    }
    result.map_err(ttrpc::Error::from)
}

#[async_trait]
impl Task for TaskService {
    async fn create(
        &self,
        _: &TtrpcContext,
        request: CreateTaskRequest,
    ) -> ttrpc::Result<CreateTaskResponse> {
        let slot = self.containers.reserve(&request.id)?;
        let context = Arc::clone(&self.context);
        let container = whole(async move {
            let container = Arc::new(create::create(&context, &request).await?);
            slot.fill(Arc::clone(&container));
            Ok(container)
        });
        let mut response = CreateTaskResponse::new();
        response.pid = container.await?.pid;
        Ok(response)
    }

    async fn start(&self, _: &TtrpcContext, request: StartRequest) -> ttrpc::Result<StartResponse> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        let mut response = StartResponse::new();
        response.pid = container.pid;
        let context = Arc::clone(&self.context);
        match exec {
            Some(exec) => exec.start(&context, &container)?,
            None => whole(async move { container.start(&context).await }).await?,
        }
        Ok(response)
    }

    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> ttrpc::Result<StateResponse> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        let (state, paths) = match &exec {
            Some(exec) => (exec.state(), &exec.paths),
            None => (container.state(), &container.paths),
        };
        let mut response = StateResponse::new();
        response.id = request.id;
        response.exec_id = request.exec_id;
        response.bundle = container.bundle.display().to_string();
        response.pid = container.pid;
        response.status = state.status().into();
        response.stdin.clone_from(&paths.stdin);
        response.stdout.clone_from(&paths.stdout);
        response.stderr.clone_from(&paths.stderr);
        response.terminal = paths.terminal;
        if let Some(exit) = state.exit() {
            response.exit_status = exit.status;
            response.exited_at = Some(Timestamp::from(exit.at)).into();
        }
        Ok(response)
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> ttrpc::Result<WaitResponse> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        let exit = match exec {
            Some(exec) => exec.wait().await,
            None => container.wait().await,
        };
        let mut response = WaitResponse::new();
        response.exit_status = exit.status;
        response.exited_at = Some(Timestamp::from(exit.at)).into();
        Ok(response)
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> ttrpc::Result<Empty> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        let context = Arc::clone(&self.context);
        match exec {
            Some(exec) => exec.kill(&context, &container, request.signal)?,
            None => whole(async move { container.kill(&context, request.signal).await }).await?,
        }
        Ok(Empty::new())
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> ttrpc::Result<DeleteResponse> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        let mut response = DeleteResponse::new();
        response.pid = container.pid;
        let context = Arc::clone(&self.context);
        let containers = Arc::clone(&self.containers);
        let exit = whole(async move {
            if let Some(exec) = exec {
                return exec.delete(&context, &container);
            }
            let exit = container.delete(&context).await?;
            containers.remove(&container.id);
            Ok(exit)
        });
        let exit = exit.await?;
        response.exit_status = exit.status;
        response.exited_at = Some(Timestamp::from(exit.at)).into();
        Ok(response)
    }

    /// Never empty: containerd up to 2.3 takes an error or an empty list for a dead shim and kills it when it
    /// loads its tasks (`core/runtime/v2/shim_load.go`).
    async fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> ttrpc::Result<PidsResponse> {
        let mut process = ProcessInfo::new();
        process.pid = self.containers.find(&request.id)?.pid;
        let mut response = PidsResponse::new();
        response.processes.push(process);
        Ok(response)
    }

    async fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> ttrpc::Result<ConnectResponse> {
        let mut response = ConnectResponse::new();
        response.shim_pid = std::process::id();
        // Asked of a shim without this container as well, right after it was started.
        response.task_pid = self.containers.find(&request.id).map_or(0, |container| container.pid);
        env!("CARGO_PKG_VERSION").clone_into(&mut response.version);
        Ok(response)
    }

    /// containerd 2.4 sends this after every task, so it has no effect while one is left.
    async fn shutdown(&self, _: &TtrpcContext, request: ShutdownRequest) -> ttrpc::Result<Empty> {
        if request.now || self.containers.is_empty() {
            self.shutdown.notify_one();
        }
        Ok(Empty::new())
    }

    async fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> ttrpc::Result<Empty> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        // A command in the shell has no input beyond its line.
        if request.stdin && exec.is_none() {
            container.close_stdin();
        }
        Ok(Empty::new())
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> ttrpc::Result<Empty> {
        let (container, exec) = self.process(&request.id, &request.exec_id)?;
        // Commands share the terminal of the shell, whose size is nobody's to set.
        if exec.is_none() {
            container.resize(request.width, request.height);
        }
        Ok(Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> ttrpc::Result<Empty> {
        let container = self.containers.find(&request.id)?;
        let context = Arc::clone(&self.context);
        whole(async move { exec::add(&context, &container, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> ttrpc::Result<Empty> {
        let container = self.containers.find(&request.id)?;
        let context = Arc::clone(&self.context);
        whole(async move { container.pause(&context).await }).await?;
        Ok(Empty::new())
    }

    async fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> ttrpc::Result<Empty> {
        let container = self.containers.find(&request.id)?;
        let context = Arc::clone(&self.context);
        whole(async move { container.resume(&context).await }).await?;
        Ok(Empty::new())
    }

    async fn checkpoint(&self, _: &TtrpcContext, request: CheckpointTaskRequest) -> ttrpc::Result<Empty> {
        let container = self.containers.find(&request.id)?;
        let context = Arc::clone(&self.context);
        whole(async move { checkpoint::save(&context, &container, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> ttrpc::Result<Empty> {
        let container = self.containers.find(&request.id)?;
        let context = Arc::clone(&self.context);
        whole(async move { update::update(&context, &container, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> ttrpc::Result<StatsResponse> {
        let container = self.containers.find(&request.id)?;
        let mut response = StatsResponse::new();
        response.stats = Some(container.stats(&self.context).await?).into();
        Ok(response)
    }
}
