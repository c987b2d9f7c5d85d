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
use crate::create;
use crate::error::{EXEC, Error, Result, describe};

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

    /// The container's own process, which is the only one it has.
    fn process(&self, id: &str, exec_id: &str) -> Result<Arc<Container>> {
        let container = self.containers.find(id)?;
        if exec_id.is_empty() {
            return Ok(container);
        }
        Err(Error::NoSuchExec { id: id.to_owned(), exec_id: exec_id.to_owned() })
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

fn unimplemented<T>(reason: &'static str) -> ttrpc::Result<T> {
    Err(Error::Unimplemented(reason).into())
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
        let container = self.process(&request.id, &request.exec_id)?;
        let mut response = StartResponse::new();
        response.pid = container.pid;
        let context = Arc::clone(&self.context);
        whole(async move { container.start(&context).await }).await?;
        Ok(response)
    }

    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> ttrpc::Result<StateResponse> {
        let container = self.process(&request.id, &request.exec_id)?;
        let state = container.state();
        let mut response = StateResponse::new();
        response.id = request.id;
        response.bundle = container.bundle.display().to_string();
        response.pid = container.pid;
        response.status = state.status().into();
        response.stdin.clone_from(&container.paths.stdin);
        response.stdout.clone_from(&container.paths.stdout);
        response.stderr.clone_from(&container.paths.stderr);
        response.terminal = container.paths.terminal;
        if let Some(exit) = state.exit() {
            response.exit_status = exit.status;
            response.exited_at = Some(Timestamp::from(exit.at)).into();
        }
        Ok(response)
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> ttrpc::Result<WaitResponse> {
        let exit = self.process(&request.id, &request.exec_id)?.wait().await;
        let mut response = WaitResponse::new();
        response.exit_status = exit.status;
        response.exited_at = Some(Timestamp::from(exit.at)).into();
        Ok(response)
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> ttrpc::Result<Empty> {
        let container = self.process(&request.id, &request.exec_id)?;
        let context = Arc::clone(&self.context);
        whole(async move { container.kill(&context, request.signal).await }).await?;
        Ok(Empty::new())
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> ttrpc::Result<DeleteResponse> {
        let container = self.process(&request.id, &request.exec_id)?;
        let mut response = DeleteResponse::new();
        response.pid = container.pid;
        let context = Arc::clone(&self.context);
        let containers = Arc::clone(&self.containers);
        let exit = whole(async move {
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
        let container = self.process(&request.id, &request.exec_id)?;
        if request.stdin {
            container.close_stdin();
        }
        Ok(Empty::new())
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> ttrpc::Result<Empty> {
        self.process(&request.id, &request.exec_id)?.resize(request.width, request.height);
        Ok(Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, _: ExecProcessRequest) -> ttrpc::Result<Empty> {
        unimplemented(EXEC)
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

    async fn checkpoint(&self, _: &TtrpcContext, _: CheckpointTaskRequest) -> ttrpc::Result<Empty> {
        unimplemented("this version of micrun does not checkpoint an RTOS")
    }

    async fn update(&self, _: &TtrpcContext, _: UpdateTaskRequest) -> ttrpc::Result<Empty> {
        unimplemented("this version of micrun does not change the resources of a running RTOS")
    }

    async fn stats(&self, _: &TtrpcContext, _: StatsRequest) -> ttrpc::Result<StatsResponse> {
        unimplemented("this version of micrun does not measure what an RTOS uses")
    }
}
