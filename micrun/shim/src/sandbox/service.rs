//! The Sandbox service: every rpc, on the one sandbox that a shim can hold.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use containerd_shim_protos::protobuf::MessageField;
use containerd_shim_protos::protobuf::well_known_types::timestamp::Timestamp;
use containerd_shim_protos::sandbox_api::{
    CreateSandboxRequest, CreateSandboxResponse, PingRequest, PingResponse, PlatformRequest,
    PlatformResponse, SandboxMetricsRequest, SandboxMetricsResponse, SandboxStatusRequest,
    SandboxStatusResponse, ShutdownSandboxRequest, ShutdownSandboxResponse, StartSandboxRequest,
    StartSandboxResponse, StopSandboxRequest, StopSandboxResponse, WaitSandboxRequest, WaitSandboxResponse,
};
use containerd_shim_protos::sandbox_async::Sandbox as Api;
use containerd_shim_protos::ttrpc;
use containerd_shim_protos::ttrpc::r#async::TtrpcContext;

use super::{Sandbox, status};
use crate::error::{Error, Result, describe};
use crate::os::lock::lock;
use crate::service::ending::Ending;
use crate::service::task::whole;
use crate::task::containers::Containers;
use crate::task::context::Context;

/// How long the answer to `ShutdownSandbox` may take to be written: ttrpc does not say when it is, and containerd takes a
/// connection that ends before it for a failure. (Of the Task service's Shutdown it does not.)
const LAST_ANSWER: Duration = Duration::from_millis(100);

/// The sandbox of this shim and the rpcs on it.
pub(crate) struct SandboxService {
    context: Arc<Context>,
    containers: Arc<Containers>,
    ending: Arc<Ending>,
    sandbox: Arc<Mutex<Option<Arc<Sandbox>>>>,
}

impl SandboxService {
    /// A service without a sandbox; `ending` is begun when containerd wants the process to end.
    pub(crate) fn new(context: Arc<Context>, containers: Arc<Containers>, ending: Arc<Ending>) -> Arc<Self> {
        Arc::new(Self { context, containers, ending, sandbox: Arc::default() })
    }

    fn find(&self, id: &str) -> Result<Arc<Sandbox>> {
        let found = self.lock().as_ref().filter(|sandbox| sandbox.id == id).cloned();
        found.ok_or_else(|| Error::NoSuchSandbox(id.to_owned()))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Sandbox>>> {
        lock(&self.sandbox)
    }
}

#[async_trait]
impl Api for SandboxService {
    async fn create_sandbox(
        &self,
        _: &TtrpcContext,
        request: CreateSandboxRequest,
    ) -> ttrpc::Result<CreateSandboxResponse> {
        let mut sandbox = self.lock();
        if let Some(other) = sandbox.as_ref() {
            return Err(Error::AlreadyExists(other.life.subject().to_string()).into());
        }
        *sandbox = Some(Arc::new(Sandbox::create(&self.containers, request)?));
        Ok(CreateSandboxResponse::new())
    }

    async fn start_sandbox(
        &self,
        _: &TtrpcContext,
        request: StartSandboxRequest,
    ) -> ttrpc::Result<StartSandboxResponse> {
        let sandbox = self.find(&request.sandbox_id)?;
        let (context, containers) = (Arc::clone(&self.context), Arc::clone(&self.containers));
        let mut response = StartSandboxResponse::new();
        response.created_at = MessageField::some(Timestamp::from(sandbox.created_at));
        response.pid = whole(async move { sandbox.start(&context, &containers).await }).await?;
        Ok(response)
    }

    /// Asked before the sandbox has started as well.
    async fn platform(&self, _: &TtrpcContext, request: PlatformRequest) -> ttrpc::Result<PlatformResponse> {
        self.find(&request.sandbox_id)?;
        let mut response = PlatformResponse::new();
        response.platform = MessageField::some(status::platform());
        Ok(response)
    }

    async fn stop_sandbox(
        &self,
        _: &TtrpcContext,
        request: StopSandboxRequest,
    ) -> ttrpc::Result<StopSandboxResponse> {
        let sandbox = self.find(&request.sandbox_id)?;
        let (context, containers) = (Arc::clone(&self.context), Arc::clone(&self.containers));
        let grace = Duration::from_secs(request.timeout_secs.into());
        let stop = async move {
            sandbox.stop(&context, &containers, grace).await;
            Ok(())
        };
        whole(stop).await?;
        Ok(StopSandboxResponse::new())
    }

    async fn wait_sandbox(
        &self,
        _: &TtrpcContext,
        request: WaitSandboxRequest,
    ) -> ttrpc::Result<WaitSandboxResponse> {
        let exit = self.find(&request.sandbox_id)?.wait().await;
        let mut response = WaitSandboxResponse::new();
        response.exit_status = exit.status;
        response.exited_at = MessageField::some(Timestamp::from(exit.at));
        Ok(response)
    }

    async fn sandbox_status(
        &self,
        _: &TtrpcContext,
        request: SandboxStatusRequest,
    ) -> ttrpc::Result<SandboxStatusResponse> {
        Ok(self.find(&request.sandbox_id)?.status(request.verbose))
    }

    async fn ping_sandbox(&self, _: &TtrpcContext, request: PingRequest) -> ttrpc::Result<PingResponse> {
        self.find(&request.sandbox_id)?;
        Ok(PingResponse::new())
    }

    /// Ends all that is left, then the shim. containerd sends it after a `CreateSandbox` that failed, too.
    async fn shutdown_sandbox(
        &self,
        _: &TtrpcContext,
        request: ShutdownSandboxRequest,
    ) -> ttrpc::Result<ShutdownSandboxResponse> {
        if self.lock().is_none() && self.containers.is_empty() {
            end_soon(Arc::clone(&self.ending));
            return Ok(ShutdownSandboxResponse::new());
        }
        let sandbox = self.find(&request.sandbox_id)?;
        let (context, containers) = (Arc::clone(&self.context), Arc::clone(&self.containers));
        let (ending, slot) = (Arc::clone(&self.ending), Arc::clone(&self.sandbox));
        let end = async move {
            sandbox.stop(&context, &containers, Duration::ZERO).await;
            for container in containers.all() {
                match container.delete(&context, "").await {
                    Ok(_) => containers.remove(container.id()),
                    Err(error) => log::error!(
                        container = container.id();
                        "{} is left behind: {}", container.id(), describe(&error)
                    ),
                }
            }
            *lock(&slot) = None;
            end_soon(ending);
            Ok(())
        };
        whole(end).await?;
        Ok(ShutdownSandboxResponse::new())
    }

    async fn sandbox_metrics(
        &self,
        _: &TtrpcContext,
        request: SandboxMetricsRequest,
    ) -> ttrpc::Result<SandboxMetricsResponse> {
        Ok(self.find(&request.sandbox_id)?.metrics(&self.context).await?)
    }
}

/// Has the process end, but for its last answer.
fn end_soon(ending: Arc<Ending>) {
    ending.hide();
    tokio::spawn(async move {
        tokio::time::sleep(LAST_ANSWER).await;
        ending.begin();
    });
}
