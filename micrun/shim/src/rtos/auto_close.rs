//! Stopping a container some time after its client has left, if an annotation asks for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::container::Container;
use crate::error::describe;
use crate::stdio::presence::Presence;
use crate::task::context::Context;

/// Pause between attempts to stop an RTOS whose client is gone.
const RETRY: Duration = Duration::from_secs(1);

/// Waits for the client to stay away. Gives whom to tell that it is there, and the task to end with the container.
pub(super) fn watch(
    container: &Arc<Container>,
    context: &Arc<Context>,
) -> Option<(Arc<Presence>, JoinHandle<()>)> {
    let time = container.plan.close_after?;
    let client = Arc::new(Presence::new());
    let (container, context, presence) = (Arc::clone(container), Arc::clone(context), Arc::clone(&client));
    let closing = tokio::spawn(async move {
        presence.absent_for(time).await;
        log::info!(
            container = container.id;
            "{} is being closed: nobody has had its stdin open for {time:?}", container.id
        );
        while let Err(error) = container.stop(&context, 0).await {
            log::warn!(
                container = container.id;
                "cannot stop {}: {}; trying again", container.id, describe(&error)
            );
            tokio::time::sleep(RETRY).await;
        }
    });
    Some((client, closing))
}
