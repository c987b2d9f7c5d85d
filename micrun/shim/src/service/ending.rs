//! The end of the shim's own process.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::os::lock::lock;

/// Has the process end, and its socket go before it.
pub(crate) struct Ending {
    /// Until it is removed.
    socket: Mutex<Option<PathBuf>>,
    due: Notify,
}

impl Ending {
    /// Of a process that listens on this socket.
    pub(crate) fn new(socket: Option<PathBuf>) -> Arc<Self> {
        Arc::new(Self { socket: Mutex::new(socket), due: Notify::new() })
    }

    /// Removes the socket, once. Nobody finds this shim from here on: the pod's next container gets another, whose socket has
    /// the same path and is not to be removed for this one's; and a process that is killed on its way out leaves nothing.
    pub(crate) fn hide(&self) {
        if let Some(socket) = lock(&self.socket).take() {
            // It may be gone already.
            let _ = std::fs::remove_file(socket);
        }
    }

    /// Has the process end. Whoever waits for it hides it first.
    pub(crate) fn begin(&self) {
        self.due.notify_one();
    }

    /// Waits until the process is to end.
    pub(crate) async fn due(&self) {
        self.due.notified().await;
    }
}
