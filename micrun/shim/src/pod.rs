//! What the containers of a pod have to do with each other: when its sandbox ends, all end.

use std::sync::Arc;

use containerd_shim_protos::api::KillRequest;
use nix::libc::SIGKILL;

use crate::containers::Containers;
use crate::context::Context;
use crate::engine::Engine;
use crate::error::{Error, describe};

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
        for container in containers.all() {
            if container.id() == sandbox.id() {
                continue;
            }
            let mut request = KillRequest::new();
            request.signal = SIGKILL.unsigned_abs();
            match container.kill(&context, &request).await {
                Ok(()) => log::info!("killed {}: its sandbox has ended", container.id()),
                Err(Error::Finished(_)) => {}
                Err(error) => log::error!("{} outlives its sandbox: {}", container.id(), describe(&error)),
            }
        }
    });
}
