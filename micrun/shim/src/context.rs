//! What every operation of the shim needs from outside.

use std::sync::Arc;

use crate::events::EventSink;
use crate::mica::Mica;

/// The shim's surroundings; tests put their own here.
pub struct Context {
    /// containerd's namespace.
    pub namespace: String,
    /// The mica daemon.
    pub mica: Arc<dyn Mica>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
}
