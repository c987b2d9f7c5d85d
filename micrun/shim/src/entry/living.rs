//! What `delete` asks of a server that lives: containerd may have lost it, or may not have waited for a Create.
//!
//! Behind the server's back nothing could be ended for good: a Create under way would still make the container, and the
//! server would stay for it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use containerd_shim_protos::api::{DeleteRequest, DeleteResponse, KillRequest, ShutdownRequest, WaitRequest};
use containerd_shim_protos::sandbox_api::{SandboxStatusRequest, ShutdownSandboxRequest};
use containerd_shim_protos::sandbox_async::SandboxClient;
use containerd_shim_protos::shim_async::TaskClient;
use containerd_shim_protos::ttrpc::r#async::Client;
use containerd_shim_protos::ttrpc::context::Context;
use containerd_shim_protos::ttrpc::{self, Code};
use nix::libc::SIGKILL;
use tokio::time::timeout;

use crate::entry::start::ADDRESS_FILE;
use crate::task::exit::Exit;

/// Longest that the server may take: containerd waits five seconds for `delete`.
const PATIENCE: Duration = Duration::from_secs(3);

/// Who serves the container, or the sandbox.
pub(super) enum Server {
    /// Nobody who answers.
    Gone,
    /// One that has no such container and no such sandbox: of another container of the pod, or its successor, if the pod's
    /// own was killed while another container was being started.
    Other,
    /// One that has ended and deleted it: its process, and how it ended.
    Ended(u32, Exit),
}

/// Has the server of a bundle end and delete the container, or the sandbox with all that is in it, and then itself, if
/// that was its last.
pub(super) async fn end(bundle: &Path, id: &str) -> Server {
    let Ok(address) = std::fs::read_to_string(bundle.join(ADDRESS_FILE)) else { return Server::Gone };
    let Ok(client) = Client::connect(&address).await else { return Server::Gone };
    match timeout(PATIENCE, end_by(client, id)).await {
        Ok(Ok((pid, exit))) => Server::Ended(pid, exit),
        Ok(Err(error)) if is(&error, Code::NOT_FOUND) => Server::Other,
        Ok(Err(error @ ttrpc::Error::RpcStatus(_))) => {
            log::warn!("the shim of {id} did not delete it, cleaning up without it: {error}");
            Server::Gone
        }
        // It ends this moment, or was killed.
        Ok(Err(_)) => Server::Gone,
        Err(_) => {
            log::warn!("the shim of {id} does not answer, cleaning up without it");
            Server::Gone
        }
    }
}

async fn end_by(client: Client, id: &str) -> ttrpc::Result<(u32, Exit)> {
    match end_container(&TaskClient::new(client.clone()), id).await {
        Ok(response) => {
            let at = response.exited_at.into_option().map_or_else(SystemTime::now, Into::into);
            Ok((response.pid, Exit { status: response.exit_status, at }))
        }
        Err(error) if is(&error, Code::NOT_FOUND) => end_sandbox(&SandboxClient::new(client), id).await,
        Err(error) => Err(error),
    }
}

async fn end_container(task: &TaskClient, id: &str) -> ttrpc::Result<DeleteResponse> {
    let delete = DeleteRequest { id: id.into(), ..DeleteRequest::default() };
    let deleted = match task.delete(Context::default(), &delete).await {
        Err(error) if is(&error, Code::FAILED_PRECONDITION) => {
            let kill =
                KillRequest { id: id.into(), signal: SIGKILL.unsigned_abs(), ..KillRequest::default() };
            // It may end by itself meanwhile.
            let _ = task.kill(Context::default(), &kill).await;
            task.wait(Context::default(), &WaitRequest { id: id.into(), ..WaitRequest::default() }).await?;
            task.delete(Context::default(), &delete).await
        }
        other => other,
    }?;
    // It may hang up before it answers.
    let _ = task
        .shutdown(Context::default(), &ShutdownRequest { id: id.into(), ..ShutdownRequest::default() })
        .await;
    Ok(deleted)
}

/// A server that has no sandbox would take Shutdown for its own end, so it is asked first.
async fn end_sandbox(sandbox: &SandboxClient, id: &str) -> ttrpc::Result<(u32, Exit)> {
    let status = SandboxStatusRequest { sandbox_id: id.into(), ..SandboxStatusRequest::default() };
    let status = sandbox.sandbox_status(Context::default(), &status).await?;
    let shutdown = ShutdownSandboxRequest { sandbox_id: id.into(), ..ShutdownSandboxRequest::default() };
    sandbox.shutdown_sandbox(Context::default(), &shutdown).await?;
    Ok((status.pid, Exit::killed()))
}

fn is(error: &ttrpc::Error, code: Code) -> bool {
    matches!(error, ttrpc::Error::RpcStatus(status) if status.code() == code)
}
