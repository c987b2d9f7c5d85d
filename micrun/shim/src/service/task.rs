//! The Task service: every rpc, written out, so that "no" is UNIMPLEMENTED and not ttrpc's `NOT_FOUND`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::api::{
    CheckpointTaskRequest, CloseIORequest, ConnectRequest, ConnectResponse, CreateTaskRequest,
    CreateTaskResponse, DeleteRequest, DeleteResponse, Empty, ExecProcessRequest, KillRequest, PauseRequest,
    PidsRequest, PidsResponse, ResizePtyRequest, ResumeRequest, ShutdownRequest, StartRequest, StartResponse,
    StateRequest, StateResponse, StatsRequest, StatsResponse, UpdateTaskRequest, WaitRequest, WaitResponse,
};
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::shim_async::Task;
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;
use micrun_trace::Current;
use tokio::time::timeout;

use crate::error::{Error, Result, describe};
use crate::service::ending::Ending;
use crate::service::{attributes, choose, pod};
use crate::task::containers::Containers;
use crate::task::context::Context;
use crate::task::engine::{Engine, View};

/// How long State waits for a container that is being made. containerd gives it two seconds
/// (`io.containerd.timeout.task.state`).
const MAKING: Duration = Duration::from_millis(1500);

/// The containers of this shim and the rpcs on them.
pub(crate) struct TaskService {
    context: Arc<Context>,
    containers: Arc<Containers>,
    ending: Arc<Ending>,
}

impl TaskService {
    /// A service of these containers; `ending` is begun when containerd wants the process to end.
    pub(crate) fn new(context: Arc<Context>, containers: Arc<Containers>, ending: Arc<Ending>) -> Arc<Self> {
        Arc::new(Self { context, containers, ending })
    }

    /// A created container, which the rpc is about: so is its span.
    fn find(&self, id: &str, exec_id: &str) -> Result<Arc<dyn Engine>> {
        attributes::process(id, exec_id);
        self.containers.find(id)
    }
}

/// Runs work to its end even if the caller's deadline passes: ttrpc drops a handler then, and half a state
/// change is worse than a late one.
pub(crate) async fn whole<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> ttrpc::Result<T> {
    let result = tokio::spawn(Current::here().carry(work)).await.map_err(Error::from).flatten();
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
        attributes::process(&request.id, "");
        let slot = self.containers.reserve(&request.id)?;
        let (context, containers) = (Arc::clone(&self.context), Arc::clone(&self.containers));
        let container = whole(async move {
            let container = choose::create(&context, &request).await?;
            slot.fill(Arc::clone(&container));
            pod::watch(&context, &containers, &container);
            Ok(container)
        });
        let mut response = CreateTaskResponse::new();
        response.pid = container.await?.view("")?.pid;
        micrun_trace::note("process.pid", response.pid);
        Ok(response)
    }

    async fn start(&self, _: &TtrpcContext, request: StartRequest) -> ttrpc::Result<StartResponse> {
        let container = self.find(&request.id, &request.exec_id)?;
        let context = Arc::clone(&self.context);
        let mut response = StartResponse::new();
        response.pid = whole(async move { container.start(&context, &request.exec_id).await }).await?;
        micrun_trace::note("process.pid", response.pid);
        Ok(response)
    }

    /// One that is being made is waited for a while: whoever hears that there is none, as after a restart of containerd,
    /// takes its record away, and nobody could delete it any more.
    async fn state(&self, _: &TtrpcContext, request: StateRequest) -> ttrpc::Result<StateResponse> {
        attributes::process(&request.id, &request.exec_id);
        let made = timeout(MAKING, self.containers.made(&request.id)).await;
        let container = made.unwrap_or_else(|_| self.containers.find(&request.id))?;
        let View { pid, state, paths } = container.view(&request.exec_id)?;
        let mut response = StateResponse::new();
        response.id = request.id;
        response.exec_id = request.exec_id;
        response.bundle = container.bundle().display().to_string();
        response.pid = pid;
        response.status = state.status().into();
        response.stdin = paths.stdin;
        response.stdout = paths.stdout;
        response.stderr = paths.stderr;
        response.terminal = paths.terminal;
        if let Some(exit) = state.exit() {
            response.exit_status = exit.status;
            response.exited_at = Some(Timestamp::from(exit.at)).into();
        }
        Ok(response)
    }

    async fn wait(&self, _: &TtrpcContext, request: WaitRequest) -> ttrpc::Result<WaitResponse> {
        let exit = self.find(&request.id, &request.exec_id)?.wait(&request.exec_id).await?;
        micrun_trace::note("process.exit.code", exit.status);
        let mut response = WaitResponse::new();
        response.exit_status = exit.status;
        response.exited_at = Some(Timestamp::from(exit.at)).into();
        Ok(response)
    }

    async fn kill(&self, _: &TtrpcContext, request: KillRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, &request.exec_id)?;
        let context = Arc::clone(&self.context);
        whole(async move { container.kill(&context, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn delete(&self, _: &TtrpcContext, request: DeleteRequest) -> ttrpc::Result<DeleteResponse> {
        if !request.exec_id.is_empty() {
            self.find(&request.id, &request.exec_id)?;
        }
        let container = self.containers.give_up(&request.id)?;
        let context = Arc::clone(&self.context);
        let containers = Arc::clone(&self.containers);
        let deleted = whole(async move {
            let container = container.await?;
            let pid = container.view(&request.exec_id)?.pid;
            let exit = container.delete(&context, &request.exec_id).await?;
            if request.exec_id.is_empty() {
                containers.remove(&request.id);
            }
            Ok((pid, exit))
        });
        let (pid, exit) = deleted.await?;
        micrun_trace::note("process.exit.code", exit.status);
        let mut response = DeleteResponse::new();
        response.pid = pid;
        response.exit_status = exit.status;
        response.exited_at = Some(Timestamp::from(exit.at)).into();
        Ok(response)
    }

    async fn pids(&self, _: &TtrpcContext, request: PidsRequest) -> ttrpc::Result<PidsResponse> {
        let mut response = PidsResponse::new();
        response.processes = self.find(&request.id, "")?.processes().await;
        Ok(response)
    }

    async fn connect(&self, _: &TtrpcContext, request: ConnectRequest) -> ttrpc::Result<ConnectResponse> {
        let mut response = ConnectResponse::new();
        response.shim_pid = std::process::id();
        // Asked of a shim without this container as well, right after it was started.
        let view = self.containers.find(&request.id).and_then(|container| container.view(""));
        response.task_pid = view.map_or(0, |view| view.pid);
        env!("CARGO_PKG_VERSION").clone_into(&mut response.version);
        Ok(response)
    }

    /// containerd 2.4 sends this after every task, so it has no effect while one is left, or a sandbox. One that is
    /// given up while it is being made is no reason to stay: nobody will ask again once it is deleted.
    async fn shutdown(&self, _: &TtrpcContext, _: ShutdownRequest) -> ttrpc::Result<Empty> {
        if self.containers.is_given_up() {
            let (containers, ending) = (Arc::clone(&self.containers), Arc::clone(&self.ending));
            tokio::spawn(async move {
                containers.emptied().await;
                ending.begin();
            });
        }
        Ok(Empty::new())
    }

    async fn close_io(&self, _: &TtrpcContext, request: CloseIORequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, &request.exec_id)?;
        if request.stdin {
            container.close_stdin(&request.exec_id)?;
        }
        Ok(Empty::new())
    }

    async fn resize_pty(&self, _: &TtrpcContext, request: ResizePtyRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, &request.exec_id)?;
        container.resize(&request.exec_id, request.width, request.height)?;
        Ok(Empty::new())
    }

    async fn exec(&self, _: &TtrpcContext, request: ExecProcessRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, &request.exec_id)?;
        let context = Arc::clone(&self.context);
        whole(async move { container.exec(&context, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn pause(&self, _: &TtrpcContext, request: PauseRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, "")?;
        let context = Arc::clone(&self.context);
        whole(async move { container.pause(&context).await }).await?;
        Ok(Empty::new())
    }

    async fn resume(&self, _: &TtrpcContext, request: ResumeRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, "")?;
        let context = Arc::clone(&self.context);
        whole(async move { container.resume(&context).await }).await?;
        Ok(Empty::new())
    }

    async fn checkpoint(&self, _: &TtrpcContext, request: CheckpointTaskRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, "")?;
        let context = Arc::clone(&self.context);
        whole(async move { container.checkpoint(&context, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn update(&self, _: &TtrpcContext, request: UpdateTaskRequest) -> ttrpc::Result<Empty> {
        let container = self.find(&request.id, "")?;
        let context = Arc::clone(&self.context);
        whole(async move { container.update(&context, &request).await }).await?;
        Ok(Empty::new())
    }

    async fn stats(&self, _: &TtrpcContext, request: StatsRequest) -> ttrpc::Result<StatsResponse> {
        let container = self.find(&request.id, "")?;
        let context = Arc::clone(&self.context);
        let mut response = StatsResponse::new();
        response.stats = Some(whole(async move { container.stats(&context).await }).await?).into();
        Ok(response)
    }
}
