//! What every operation of the shim needs from outside.

use std::path::PathBuf;
use std::sync::Arc;

use crate::events::EventSink;
use crate::mica::Mica;

/// The shim's surroundings; tests put their own here.
pub(crate) struct Context {
    /// containerd's namespace.
    pub namespace: String,
    /// Where containers have their directories.
    pub state_root: PathBuf,
    /// The mica daemon.
    pub mica: Arc<dyn Mica>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
}
