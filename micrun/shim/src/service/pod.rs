//! What the containers of a pod have to do with each other: when its sandbox ends, all end.

use std::sync::Arc;
use std::time::Duration;

use containerd_shim_protos::api::KillRequest;
use nix::libc::{SIGKILL, SIGTERM};

use crate::error::{Error, describe};
use crate::task::containers::Containers;
use crate::task::context::Context;
use crate::task::engine::Engine;

/// Longest that what was killed may take to end.
const LAST_MOMENTS: Duration = Duration::from_secs(10);

/// Watches over a container if it is a sandbox: what runs in the pod after its end is killed. CRI stops the others
/// first; this is for a sandbox that dies, or is taken away before them.
pub(crate) fn watch(context: &Arc<Context>, containers: &Arc<Containers>, sandbox: &Arc<dyn Engine>) {
    if !sandbox.is_sandbox() {
        return;
    }
    let (context, containers, sandbox) = (Arc::clone(context), Arc::clone(containers), Arc::clone(sandbox));
    tokio::spawn(async move {
        // Cannot fail: a container has its own process.
        let _ = sandbox.wait("").await;
        // One that is being made is no better off.
        for container in containers.settled().await {
            if container.id() != sandbox.id() {
                signal(&context, &container, SIGKILL).await;
            }
        }
    });
}

/// Ends all containers. They may end by themselves within `grace` first.
pub(crate) async fn end_all(context: &Context, containers: &Containers, grace: Duration) {
    if !grace.is_zero() {
        end(context, containers, SIGTERM, grace).await;
    }
    end(context, containers, SIGKILL, LAST_MOMENTS).await;
}

/// Signals all containers, those that are being made as soon as they are there, and waits for their ends, for `limit`
/// at most.
async fn end(context: &Context, containers: &Containers, number: i32, limit: Duration) {
    let present = containers.all();
    for container in &present {
        signal(context, container, number).await;
    }
    let ends = async {
        let all = containers.settled().await;
        let is_late =
            |container: &&Arc<dyn Engine>| !present.iter().any(|other| Arc::ptr_eq(other, container));
        for late in all.iter().filter(is_late) {
            signal(context, late, number).await;
        }
        for container in &all {
            // Cannot fail: a container has its own process.
            let _ = container.wait("").await;
        }
    };
    if tokio::time::timeout(limit, ends).await.is_err() {
        log::warn!("containers of the pod still run {} s after signal {number}", limit.as_secs());
    }
}

async fn signal(context: &Context, container: &Arc<dyn Engine>, number: i32) {
    let mut request = KillRequest::new();
    request.signal = number.unsigned_abs();
    match container.kill(context, &request).await {
        Ok(()) => log::info!(
            container = container.id();
            "sent signal {number} to {}: its pod ends", container.id()
        ),
        Err(Error::Finished(_)) => {}
        Err(error) => log::error!(
            container = container.id();
            "cannot end {} with its pod: {}", container.id(), describe(&error)
        ),
    }
}
